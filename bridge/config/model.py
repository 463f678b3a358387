"""The settings by section. What each one means is said in config.example.toml."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.config.deposits import Deposits, Plan, Portal, Signing
from bridge.config.events import Alerts, Email, Events
from bridge.config.fields import (
    ConnectionsMax,
    Currency,
    Listen,
    ListenAt,
    Moment,
    Name,
    Pattern,
    SecretFile,
    SecretFiles,
    Section,
    Status,
    TagKey,
    web_address,
)
from bridge.config.renewals import Renewals
from bridge.domain.crediting import AmountRule, Rules, TagPlace

SQLITE = "sqlite:///"
_RULES = Rules()


def _database_url(value: str) -> str:
    if not value.startswith((SQLITE, "postgresql://", "postgresql+psycopg://")):
        raise ValueError(
            "names no database bridge can use; write sqlite:///bridge.db or "
            "postgresql://user@host/name"
        )
    if value.removeprefix(SQLITE) in {"", ":memory:"}:
        raise ValueError("names no file, and money is kept on disk only; write sqlite:///bridge.db")
    return value


class Database(Section):
    """[database]: where the money is kept."""

    # Out of every repr, for it may hold a password.
    url: Annotated[str, AfterValidator(_database_url)] = Field(
        repr=False, examples=["sqlite:///bridge.db"]
    )
    migrate_on_start: bool = True
    pooler: bool = False


class Api(Section):
    """[api]: the internal API."""

    listen: ListenAt = Listen("127.0.0.1", 8850)


class Webhooks(Section):
    """[webhooks]: the listener that storefronts reach."""

    listen: ListenAt = Listen("127.0.0.1", 8851)
    connections_max: ConnectionsMax = 1000


class Gateway(Section):
    """[crediting.gateways.<payment_method>]: what differs for one gateway."""

    statuses: frozenset[Status] = Field(min_length=1, examples=[["processing", "completed"]])


class Crediting(Section):
    """[crediting], and [storefronts.crediting] over it."""

    statuses: frozenset[Status] = Field(default=_RULES.statuses, min_length=1)
    amount: AmountRule = _RULES.amount
    deposit_product_ids: frozenset[int] = _RULES.deposit_product_ids
    deposit_skus: frozenset[str] = _RULES.deposit_skus
    deposit_fee_names: frozenset[str] = _RULES.deposit_fee_names
    currencies: frozenset[Currency] | None = Field(
        default=None, min_length=1, examples=[["EUR", "USD"]]
    )
    require_evidence: bool = _RULES.require_evidence
    trusted_offline_methods: frozenset[str] = _RULES.trusted_offline_methods
    unknown_tenants: Literal["create", "hold"] = "create"
    tenant_pattern: Pattern = _RULES.tenant_pattern
    gateways: dict[str, Gateway] = Field(default={})


def _storefront_url(value: str, info: ValidationInfo) -> str:
    return web_address(value, insecure_http=info.data.get("insecure_http", False))


class Storefront(Section):
    """[[storefronts]]: one WooCommerce site."""

    name: Name = Field(examples=["main"])
    insecure_http: bool = False  # stands before `url`, whose check asks for it
    url: Annotated[str, AfterValidator(_storefront_url)] = Field(
        examples=["https://store.example.com"]
    )
    consumer_key_file: SecretFile = Field(examples=["secrets/main_consumer_key"])
    consumer_secret_file: SecretFile = Field(examples=["secrets/main_consumer_secret"])
    webhook_secret_file: SecretFiles = ()
    tag_key: TagKey = _RULES.tag_key
    tag_places: frozenset[TagPlace] = Field(default=_RULES.tag_places, min_length=1)
    sku_prefix: str = _RULES.sku_prefix
    import_from: Moment | None = None
    poll_interval_s: int = Field(default=30, ge=1, le=86_400)
    poll_overlap_s: int = Field(default=300, ge=60, le=86_400)
    sweep_interval_s: int = Field(default=21_600, ge=60, le=7 * 86_400)
    sweep_window_days: int = Field(default=35, ge=1, le=3650)
    connect_timeout_s: float = Field(default=5, gt=0, le=60)
    read_timeout_s: float = Field(default=60, gt=0, le=600)
    body_bytes_max: int = Field(default=16 * 2**20, ge=2**16, le=2**30)
    page_size_max: int = Field(default=100, ge=1, le=100)
    ca_file: Path | None = None
    crediting: Crediting = Crediting()
    deposits: Deposits = Deposits()

    def rules(self) -> Rules:
        """How this storefront's orders are credited."""
        said = self.crediting
        return Rules(
            statuses=said.statuses,
            gateway_statuses={name: g.statuses for name, g in said.gateways.items()},
            amount=said.amount,
            deposit_product_ids=said.deposit_product_ids,
            deposit_skus=said.deposit_skus,
            deposit_fee_names=said.deposit_fee_names,
            tag_key=self.tag_key,
            tag_places=self.tag_places,
            sku_prefix=self.sku_prefix,
            tenant_pattern=said.tenant_pattern,
            currencies=said.currencies,
            require_evidence=said.require_evidence,
            trusted_offline_methods=said.trusted_offline_methods,
        )


class Log(Section):
    """[log]: what is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Daemon(Section):
    """[daemon]: how long it waits and remembers."""

    drain_timeout_s: int = Field(default=20, ge=1, le=600)
    runs_kept_days: int = Field(default=90, ge=1, le=3650)


class Config(BaseSettings):
    """The whole configuration, made by `load`; what is said for all storefronts is in each."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="BRIDGE_", env_nested_delimiter="__"
    )

    database: Database = Field(examples=[{"url": "sqlite:///bridge.db"}])
    api: Api = Api()
    webhooks: Webhooks = Webhooks()
    crediting: Crediting = Crediting()
    signing: Signing = Signing()
    deposits: Deposits = Deposits()
    plans: tuple[Plan, ...] = ()
    portal: Portal = Portal()
    renewals: Renewals = Renewals()
    events: Events = Events()
    alerts: Alerts = Alerts()
    email: Email = Email()
    storefronts: tuple[Storefront, ...] = ()
    log: Log = Log()
    daemon: Daemon = Daemon()
    _directory: Path = PrivateAttr(Path())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` merged, and nothing beside it."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def directory(self) -> Path:
        """Where relative paths begin: the directory of the file."""
        return self._directory

    @property
    def database_url(self) -> str:
        """The database's URL, with the path of an SQLite file made absolute."""
        url = self.database.url
        if not url.startswith(SQLITE):
            return url
        return SQLITE + str(self._directory / url.removeprefix(SQLITE))

    def placed(self, directory: Path) -> "Config":
        """Return this configuration with relative paths beginning at a directory."""
        placed = self.model_copy()
        placed._directory = directory  # noqa: SLF001 - a copy of our own
        return placed
