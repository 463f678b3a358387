"""The settings of renewals that bridge makes by itself."""

from pydantic import Field

from bridge.config.fields import Section
from bridge.domain import renewal
from bridge.domain.clock import DAY


class Renewals(Section):
    """[renewals]: how long before, and how long after a renewal is due something happens."""

    notice_days: int = Field(default=7, ge=0, le=90)
    grace_days: int = Field(default=14, ge=0, le=365)

    def terms(self) -> renewal.Terms:
        """As the domain has it."""
        return renewal.Terms(self.notice_days * DAY, self.grace_days * DAY)
