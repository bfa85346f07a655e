"""`spanledger.toml`, read once: where the ledger is, who owns what, and how the server is reached."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from ingest.allocation import SharedKey
from ingest.attribution import DIMENSIONS, Attribution, Rule
from ingest.content import ContentStore
from ingest.errors import SpanledgerError
from ingest.governance.custom_fields import CustomFields
from metrics.definitions import Days, Definitions, EvaluationRule

FILE = "spanledger.toml"
DEFAULT_LEDGER = "spanledger.duckdb"
DEFAULT_PORT = 4318  # where OpenTelemetry SDKs send OTLP/HTTP by default


class ConfigError(SpanledgerError):
    """A setting that is not understood: which one, in which file, and what is expected."""


class AttributionRule(msgspec.Struct, forbid_unknown_fields=True):
    """One `[[attribution]]` table; patterns may hold `*`."""

    set: dict[str, str]
    service: str | None = None
    scope: str | None = None
    attributes: dict[str, str] = {}
    provider: str | None = None
    project: str | None = None
    account: str | None = None
    sub_account: str | None = None
    api_key: str | None = None
    tags: dict[str, str] = {}


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT


class ContentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[content]` table: whether prompts and answers are kept beside the ledger, and for how long."""

    store: bool = False
    retention_days: Annotated[int, msgspec.Meta(ge=1)] = 30


class IncidentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[incidents]` table: what custom fields of the incident tool mean, and which services have nothing to do with AI."""

    mitigated_at_fields: tuple[str, ...] = ()
    ai_fields: tuple[str, ...] = ()
    not_ai_services: tuple[str, ...] = ()


class InventorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[inventory]` table: for how many days a review is valid."""

    review_days: Days = 365
    tier_1_review_days: Days = 180


class TomlFile(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file; every key is optional."""

    db: str | None = None
    prices: str | None = None
    server: ServerSettings = ServerSettings()
    attribution: list[AttributionRule] = []
    attribute_keys: dict[str, list[str]] = {}
    shared_costs: dict[str, SharedKey] = {}
    content: ContentSettings = ContentSettings()
    incidents: IncidentSettings = IncidentSettings()
    inventory: InventorySettings = InventorySettings()
    evaluation_names: dict[str, EvaluationRule] = {}

    def definitions(self) -> Definitions:
        days, services = self.inventory, self.incidents.not_ai_services
        return Definitions(days.review_days, days.tier_1_review_days, services, self.evaluation_names)


class Settings(msgspec.Struct, frozen=True):
    """What the program needs to know, from the command line, the environment and the file, in this order."""

    db: Path
    host: str
    port: int
    attribution: Attribution
    user_prices: Path | None
    shared_costs: dict[str, SharedKey]
    receiver_tokens: tuple[str, ...]
    content: ContentSettings = ContentSettings()
    incident_fields: CustomFields = CustomFields()
    definitions: Definitions = Definitions()

    def content_store(self) -> ContentStore | None:
        """The texts beside the ledger, where the operator asked for them."""
        if not self.content.store:
            return None
        return ContentStore(self.db.with_name(self.db.name + ".content"), self.content.retention_days)

    def hash_key(self) -> bytes:
        """The key that hides user ids: SPANLEDGER_HASH_KEY, else one made once beside the ledger (mode 0600)."""
        if given := os.environ.get("SPANLEDGER_HASH_KEY"):
            return given.encode()
        path = self.db.with_name(self.db.name + ".key")
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
        return path.read_bytes()


def read(db: Path | None = None, folder: Path | None = None) -> Settings:
    """Settings for a command; `db` is its --db. Raises ConfigError with the key and the file."""
    path = (folder or Path.cwd()) / FILE
    file = _decode(path)
    for dimension in file.attribute_keys.keys() | {name for rule in file.attribution for name in rule.set}:
        if dimension not in DIMENSIONS:
            raise ConfigError(f"{path}: '{dimension}' is no dimension", f"Use one of {', '.join(DIMENSIONS)}")
    chosen = db or os.environ.get("SPANLEDGER_DB") or file.db or DEFAULT_LEDGER
    return Settings(
        db=Path(chosen),
        host=file.server.host,
        port=file.server.port,
        attribution=Attribution([_rule(rule) for rule in file.attribution], file.attribute_keys),
        user_prices=path.parent / file.prices if file.prices else None,
        shared_costs=file.shared_costs,
        content=file.content,
        incident_fields=CustomFields(file.incidents.mitigated_at_fields, file.incidents.ai_fields),
        definitions=file.definitions(),
        receiver_tokens=tuple(filter(None, os.environ.get("SPANLEDGER_RECEIVER_TOKENS", "").split(","))),
    )


def replace(chosen: Settings, host: str, port: int) -> Settings:
    """The settings with the address that a command line names."""
    return msgspec.structs.replace(chosen, host=host, port=port)


def _decode(path: Path) -> TomlFile:
    if not path.exists():
        return TomlFile()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=TomlFile)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}", "See the README for the keys") from error


def _rule(rule: AttributionRule) -> Rule:
    when = {key: value for key, value in msgspec.structs.asdict(rule).items() if key != "set" and value}
    return Rule(when, rule.set)
