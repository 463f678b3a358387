"""Everything is put together here, from the configuration, and nowhere else."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from functools import cached_property

from bridge.api.pages.look import Portal
from bridge.api.services import Services
from bridge.api.services import Storefront as ApiStorefront
from bridge.billing.deposits import Deposits
from bridge.billing.renewals import Renewals
from bridge.billing.tills import Till
from bridge.config import Config, Storefront
from bridge.config import secrets as secret_files
from bridge.config.deposits import LOGO_TYPES
from bridge.config.events import Endpoint as EventEndpoint
from bridge.domain.clock import DAY, SECOND, Clock, utc_now
from bridge.domain.crediting import Rules
from bridge.domain.drift import Comparison
from bridge.domain.errors import ConfigurationError, NotFoundError
from bridge.domain.offer import Offers
from bridge.domain.signing import Keys, derived
from bridge.notify import letters
from bridge.notify.balances import Rules as AlertRules
from bridge.notify.http import HttpEndpoint
from bridge.notify.letters import OperatorLetters, TenantLetters
from bridge.notify.mail import MailEndpoint, Relay
from bridge.notify.publish import Publisher, Subscriber
from bridge.notify.sender import Endpoint, Sender
from bridge.notify.signing import read_secret
from bridge.store.balances import Balances
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.leases import Leases
from bridge.store.migrations import pending
from bridge.storefront.client import Client
from bridge.sync.context import Context, Policy, Source

TENANTS, OPERATORS = "email:tenants", "email:operators"
"""The endpoints that are people, told by letters; no configured one has a colon in its name."""


class Wiring:
    """The parts of one process. Nothing is opened before it is used; close it in the end.

    `holder` is the name under which leases are held; unless given, it is this process's own.
    """

    def __init__(self, config: Config, *, holder: str = "", clock: Clock = utc_now) -> None:
        self.config = config
        self.clock = clock
        self.database = Database(config.database_url, pooler=config.database.pooler)
        self.batcher = Batcher(self.database, clock)
        self.balances = Balances(self.database)
        leases = Leases(self.database, clock, holder or _this_process())
        self.context = Context(self.database, leases, clock)
        self._clients: dict[str, Client] = {}
        self._sources: dict[str, Source] = {}

    def require_schema(self) -> None:
        """Raise ConfigurationError unless the database was migrated to this version of bridge."""
        if pending(self.database):
            raise ConfigurationError(
                "the database does not have this version's tables yet; run: bridge migrate"
            )

    def storefront(self, name: str) -> Storefront:
        """Return a storefront's settings; NotFoundError where there is none by that name."""
        for storefront in self.config.storefronts:
            if storefront.name == name:
                return storefront
        names = ", ".join(one.name for one in self.config.storefronts) or "none"
        raise NotFoundError(f"no storefront {name!r} is configured; there are: {names}")

    def rules(self, storefront: Storefront) -> Rules:
        """Return the rules for a storefront's orders, those of the deposits that we sign too."""
        keys = self._keys(f"deposit-tag/{storefront.name}")
        return storefront.rules()._replace(deposit_keys=keys)

    def policy(self, storefront: Storefront) -> Policy:
        """Return how a storefront's orders are credited."""
        create = storefront.crediting.unknown_tenants == "create"
        return Policy(storefront.name, self.rules(storefront), create_tenants=create)

    def client(self, storefront: Storefront) -> Client:
        """Return a storefront's client, made once; ConfigurationError where a secret is missing."""
        if storefront.name not in self._clients:
            self._clients[storefront.name] = self._client(storefront)
        return self._clients[storefront.name]

    def source(self, name: str) -> Source:
        """Return how a storefront is read and credited; reads its secrets, as `client` does.

        Raises NotFoundError where there is none by that name.
        """
        if name not in self._sources:
            self._sources[name] = self._source(self.storefront(name))
        return self._sources[name]

    @cached_property
    def deposits(self) -> Deposits | None:
        """Who opens deposits, None where no storefront takes any."""
        takers = [one for one in self.config.storefronts if one.deposits.currencies]
        if not takers:
            return None
        public_url = self.config.portal.public_url
        return Deposits(
            self.database,
            self.context.leases,
            self.clock,
            {one.name: self._till(one) for one in takers},
            {plan.id: plan.plan() for plan in self.config.plans},
            f"{public_url}/billing/return" if public_url else "",
        )

    @cached_property
    def renewals(self) -> Renewals:
        """Who agrees on renewals, and pays what is due."""
        return Renewals(self.database, self.clock, self.config.renewals.terms())

    @cached_property
    def offers(self) -> Offers:
        """Who makes the links that offer a deposit."""
        return Offers(
            self.config.portal.public_url or "",
            self._keys("deposit-offer"),
            self.config.email.offer_expires_in_days * DAY,
            self._deposited(),
        )

    def publisher(self) -> Publisher:
        """Return who makes events of what happened."""
        said = self.config.alerts
        rules = AlertRules(said.thresholds(), said.otherwise(), said.cooldown)
        return Publisher(self.database, self.clock, rules, self.subscribers, self.offers)

    @cached_property
    def subscribers(self) -> list[Subscriber]:
        """Who is told of which events; reads no secrets."""
        told = [Subscriber(one.name, one.wanted) for one in self.config.events.endpoints]
        said = self.config.email
        if said.host and said.tenants:
            told.append(Subscriber(TENANTS, letters.TENANT_TYPES))
        if said.host and said.operators:
            told.append(Subscriber(OPERATORS, letters.OPERATOR_TYPES))
        return told

    def senders(self) -> Iterator[tuple[str, Sender, int]]:
        """Yield who sends to each endpoint, by name, and with how many threads.

        Reads the secrets, and raises ConfigurationError as `client` does.
        """
        for one in self.config.events.endpoints:
            yield one.name, self._sender(self._endpoint(one)), one.workers
        for name, _ in self.subscribers:
            if name in {TENANTS, OPERATORS}:
                yield name, self._sender(self._letters(name)), 1

    def services(
        self,
        *,
        reconcile: Callable[[Comparison], str],
        nudge: Callable[[str], None],
        ready: Callable[[], list[str]],
    ) -> Services:
        """Return what the API leans on; the daemon knows how to do these three."""
        return Services(
            database=self.database,
            batcher=self.batcher,
            balances=self.balances,
            clock=self.clock,
            storefronts={one.name: self._for_api(one) for one in self.config.storefronts},
            tenant_pattern=self.config.crediting.tenant_pattern,
            create_tenants=self.config.crediting.unknown_tenants == "create",
            reconcile=reconcile,
            nudge=nudge,
            ready=ready,
            deposits=self.deposits,
            portal=self._portal(),
            renewals=self.renewals,
            offer_keys=self.offers.keys,
            subscribers=dict(self.subscribers),
        )

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self.database.close()

    def _client(self, storefront: Storefront) -> Client:
        ca_file = storefront.ca_file and self.config.directory / storefront.ca_file
        return Client(
            storefront.name,
            storefront.url,
            self._secret(storefront.consumer_key_file),
            self._secret(storefront.consumer_secret_file),
            clock=self.clock,
            tag_key=storefront.tag_key,
            connect_timeout_s=storefront.connect_timeout_s,
            read_timeout_s=storefront.read_timeout_s,
            body_bytes_max=storefront.body_bytes_max,
            page_size_max=storefront.page_size_max,
            insecure_http=storefront.insecure_http,
            verify_tls=str(ca_file) if ca_file else True,
        )

    def _source(self, storefront: Storefront) -> Source:
        window_s = storefront.sweep_window_days * DAY // SECOND
        import_from = storefront.import_from
        if import_from is None:
            import_from = self.clock() - window_s * SECOND
        return Source(
            client=self.client(storefront),
            policy=self.policy(storefront),
            import_from=import_from,
            poll_overlap_s=storefront.poll_overlap_s,
            sweep_window_s=window_s,
        )

    def _for_api(self, storefront: Storefront) -> ApiStorefront:
        webhook_secrets = tuple(map(self._secret, storefront.webhook_secret_file))
        return ApiStorefront(storefront.name, self.rules(storefront), webhook_secrets)

    def _sender(self, endpoint: Endpoint) -> Sender:
        return Sender(self.database, self.clock, endpoint)

    def _endpoint(self, said: EventEndpoint) -> Endpoint:
        signed_with = tuple(read_secret(self._secret(one)) for one in said.secret_file)
        return HttpEndpoint(
            said.name, said.url, signed_with, said.wanted, said.timeout_s, said.allow_private
        )

    def _letters(self, name: str) -> Endpoint:
        said, page = self.config.email, self.config.portal
        password = self._secret(said.password_file) if said.password_file else ""
        relay = Relay(said.host or "", said.port, said.tls, said.username or "", password)
        sender = said.sender or ""
        if name == TENANTS:
            to_one = TenantLetters(self.database, page.name, page.language, page.timezone)
            return MailEndpoint(name, letters.TENANT_TYPES, relay, sender, to_one.write)
        to_all = OperatorLetters(said.operators, page.name)
        gathers_s = letters.OPERATORS_GATHER_S
        return MailEndpoint(name, letters.OPERATOR_TYPES, relay, sender, to_all.write, gathers_s)

    def _till(self, storefront: Storefront) -> Till:
        return Till(
            storefront.name,
            storefront.url,
            storefront.tag_key,
            storefront.deposits.terms(),
            self._keys(f"deposit-tag/{storefront.name}"),
            self._keys(f"deposit-link/{storefront.name}"),
            lambda: self.client(storefront).checkout,
        )

    def _portal(self) -> Portal | None:
        said = self.config.portal
        if said.public_url is None:
            return None
        logo = self.config.directory / said.logo_file if said.logo_file else None
        return Portal(
            public_url=said.public_url,
            name=said.name,
            logo=logo.read_bytes() if logo else b"",
            logo_type=LOGO_TYPES[logo.suffix.lower()] if logo else "",
            accent=said.accent,
            accent_dark=said.accent_dark,
            language=said.language,
            zone=said.timezone,
            link_keys=self._keys("portal-link"),
            cookie_keys=self._keys("portal-cookie"),
            form_keys=self._keys("portal-form"),
            link_expires_in=said.link_expires_in_s * SECOND,
            session_expires_in=said.session_expires_in_s * SECOND,
            currencies=self._deposited(),
        )

    def _deposited(self) -> tuple[str, ...]:
        """Return the currencies that can be deposited, each once."""
        sites = self.config.storefronts
        return tuple(
            dict.fromkeys(one.currency for site in sites for one in site.deposits.currencies)
        )

    def _keys(self, purpose: str) -> Keys:
        return derived(self._signing_keys, purpose)

    @cached_property
    def _signing_keys(self) -> tuple[str, ...]:
        return tuple(map(self._secret, self.config.signing.key_file))

    def _secret(self, reference: str) -> str:
        return secret_files.read(reference, self.config.directory)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
