"""What inventories of other tools have in common: items and systems in the ledger's form, and words for their labels."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import msgspec

from ingest.collector import Collector
from ingest.probe import Probe


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """inventory.toml, which says itself what each table means."""

    kinds: dict[str, str]
    lifecycles: dict[str, str]
    labels: dict[str, str]


WORDS = msgspec.toml.decode((files(__package__) / "inventory.toml").read_bytes(), type=Words)

ITEM = ("item_id", "kind", "system_id", "provider", "name", "version", "owner", "environment", "data_classification", "evaluation_ref",
        "approval_ref", "last_reviewed_on", "lifecycle", "base_model", "depends_on")  # fmt: skip
SYSTEM = ("system_id", "name", "owner", "lifecycle", "risk_tier", "depends_on", "team", "business_unit", "cost_center", "intended_purpose",
          "personal_data", "eu_ai_act_class", "last_reviewed_on", "service_names")  # fmt: skip

TYPES = {"last_reviewed_on": "date?", "depends_on": "list?", "service_names": "list?", "risk_tier": "count?", "extra": "json?"}
COLUMNS = {name: TYPES.get(name, "text?") for name in dict.fromkeys((*ITEM, *SYSTEM, "extra"))}
CHECKS = {
    "item_id is null and system_id is null": "neither a name nor an id",
    "risk_tier not between 1 and 3": "risk_tier is not within 1 to 3",
}

ITEMS_SQL = f"select source_row, {', '.join(ITEM)}, extra from source where item_id is not null"
SYSTEMS_SQL = f"select source_row, {', '.join(SYSTEM)}, extra from source where item_id is null"


def inventory(
    name: str,
    title: str,
    recognise: Callable[[Probe], bool],
    rows: Callable[[Any], Iterable[Mapping[str, Any]]],
    *,
    read: Callable[[Probe], Iterable[tuple[int, Any]]] | None = None,
    nested: bool = False,
) -> Collector:
    """The collector of a tool's inventory; a row without an item_id describes a system."""
    systems = Collector(name, title, "systems", COLUMNS, SYSTEMS_SQL, key=("system_id",), register=True)
    return Collector(
        name, title, "inventory_items", COLUMNS, ITEMS_SQL, key=("item_id",), register=True, also=(systems,), checks=CHECKS,
        recognise=recognise, flatten=rows, read=read, nested=nested,
    )  # fmt: skip


def labelled(labels: Mapping[str, Any]) -> dict[str, str]:
    """The columns that labels, annotations or tags fill; a prefix and the way of writing a name make no difference."""
    named = ((WORDS.labels.get(key.rpartition("/")[2].lower().replace("_", "-")), value) for key, value in labels.items())
    return {column: _tier(str(value)) if column == "risk_tier" else str(value) for column, value in named if column and value}


def extra(**told: Any) -> str | None:
    """What else is known, as JSON, without what is empty."""
    known = {name: value for name, value in told.items() if value not in (None, "", [], {})}
    return msgspec.json.encode(known).decode() if known else None


def mappings(found: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; nothing where it is no list."""
    yield from (item for item in (found if isinstance(found, list) else ()) if isinstance(item, Mapping))


def _tier(text: str) -> str:
    return text.lower().removeprefix("tier").strip(" -_")
