"""Everything is put together here, from the configuration, and nowhere else."""

import os
import secrets
import socket
from collections.abc import Callable

from bridge.api.services import Services
from bridge.api.services import Storefront as ApiStorefront
from bridge.config import Config, Storefront
from bridge.config import secrets as secret_files
from bridge.domain.clock import DAY, SECOND, Clock, utc_now
from bridge.domain.drift import Comparison
from bridge.domain.errors import ConfigurationError, NotFoundError
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.leases import Leases
from bridge.store.migrations import pending
from bridge.storefront.client import Client
from bridge.sync.context import Context, Policy, Source


class Wiring:
    """The parts of one process. Nothing is opened before it is used; close it in the end.

    `holder` is the name under which leases are held; unless given, it is this process's own.
    """

    def __init__(self, config: Config, *, holder: str = "", clock: Clock = utc_now) -> None:
        self.config = config
        self.clock = clock
        self.database = Database(config.database_url, pooler=config.database.pooler)
        self.batcher = Batcher(self.database, clock)
        leases = Leases(self.database, clock, holder or _this_process())
        self.context = Context(self.database, leases, clock)
        self._clients: list[Client] = []
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

    def policy(self, storefront: Storefront) -> Policy:
        """Return how a storefront's orders are credited."""
        create = storefront.crediting.unknown_tenants == "create"
        return Policy(storefront.name, storefront.rules(), create_tenants=create)

    def client(self, storefront: Storefront) -> Client:
        """Make a client; its secrets are read now, ConfigurationError where that fails."""
        ca_file = storefront.ca_file and self.config.directory / storefront.ca_file
        client = Client(
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
        self._clients.append(client)
        return client

    def source(self, name: str) -> Source:
        """Return how a storefront is read and credited; reads its secrets, as `client` does.

        Raises NotFoundError where there is none by that name.
        """
        if name not in self._sources:
            self._sources[name] = self._source(self.storefront(name))
        return self._sources[name]

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
            clock=self.clock,
            storefronts={one.name: self._for_api(one) for one in self.config.storefronts},
            tenant_pattern=self.config.crediting.tenant_pattern,
            create_tenants=self.config.crediting.unknown_tenants == "create",
            reconcile=reconcile,
            nudge=nudge,
            ready=ready,
        )

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
        self.database.close()

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
        return ApiStorefront(storefront.name, storefront.rules(), webhook_secrets)

    def _secret(self, reference: str) -> str:
        return secret_files.read(reference, self.config.directory)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
