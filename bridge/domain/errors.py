"""Errors that end as advice: what happened, and what to do about it.

An error knows its stable code, the HTTP status it becomes in the API and the exit status it becomes
on the command line, so that neither edge keeps a table of its own.
"""


class BridgeError(Exception):
    """Anything bridge can explain. `str(error)` is written for the person who has to act."""

    code = "internal"
    http_status = 500
    exit_status = 1


class ConfigurationError(BridgeError):
    """The configuration is wrong; the message names every mistake at once."""

    code = "configuration"
    exit_status = 78


class InvalidRequestError(BridgeError):
    """What was asked makes no sense as it stands; nothing was changed."""

    code = "invalid_request"
    http_status = 422
    exit_status = 2


class NotFoundError(BridgeError):
    """What was named does not exist here."""

    code = "not_found"
    http_status = 404


class UnavailableError(BridgeError):
    """It may work later: the database, the storefront or a lease is busy or away."""

    code = "unavailable"
    http_status = 503
    exit_status = 75


class BacklogFullError(UnavailableError):
    """More requests wait than the batcher takes; the caller should retry with the same key."""

    code = "backlog_full"


class LeaseHeldError(UnavailableError):
    """Another process is doing this very thing."""

    code = "lease_held"


class StoppingError(UnavailableError):
    """This process is going down; whatever was asked can be asked of the next."""

    code = "stopping"


class StorefrontStoppedError(BridgeError):
    """Crediting for a storefront was stopped because what it says looks wrong; an admin decides."""

    code = "storefront_stopped"
    http_status = 409
