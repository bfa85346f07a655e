"""MLflow model registries: registered models with their versions, stages, aliases and tags."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ingest.governance.inventory import WORDS, extra, inventory, labelled, mappings
from ingest.probe import Probe

ANSWERS = ("registered_models", "model_versions")
SINGLE = ("registered_model", "model_version", "mlflow")
VERSION_COLUMNS = {"name", "version", "run_id", "creation_timestamp"}


def is_registry(probe: Probe) -> bool:
    if probe.form == "csv":
        return set(probe.columns) >= VERSION_COLUMNS
    return next(_versions(probe.json), None) is not None


def rows(document: Any) -> Iterator[dict[str, Any]]:
    for version in _versions(document):
        tags, aliases = _tags(version.get("tags")), _aliases(version)
        stage = str(version.get("current_stage") or version.get("stage") or "").lower()
        said = next((WORDS.lifecycles[word] for word in (*map(str.lower, aliases), stage) if word in WORDS.lifecycles), None)
        labels = labelled({name: value for name, value in tags.items() if not name.startswith("mlflow.")})
        yield labels | {
            "item_id": f"{version['name']}/{version['version']}" if version.get("name") and version.get("version") else None,
            "kind": "model",
            "name": version.get("name"),
            "version": version.get("version"),
            "lifecycle": said,
            "environment": labels.get("environment") or (said if said == "production" else None),
            "owner": labels.get("owner") or version.get("user_id"),
            "extra": extra(
                run_id=version.get("run_id"), aliases=aliases, stage=stage, tags=tags, source=version.get("source"),
                created_at_ms=version.get("creation_timestamp"), description=version.get("description"),
            ),
        }  # fmt: skip


def _versions(document: Any) -> Iterator[Mapping[str, Any]]:
    """The versions of an answer of the REST API, of an exported model, of a list, or one by itself."""
    if isinstance(document, list):
        for entry in document:
            yield from _versions(entry)
    elif isinstance(document, Mapping):
        held = next((document[name] for name in (*ANSWERS, *SINGLE) if isinstance(document.get(name), list | Mapping)), None)
        if held is not None:
            yield from _versions(held)
        elif document.keys() >= VERSION_COLUMNS:
            yield document
        elif "name" in document and isinstance(found := document.get("versions") or document.get("latest_versions"), list):
            yield from _of_model(document, found)


def _of_model(model: Mapping[str, Any], versions: list[Any]) -> Iterator[Mapping[str, Any]]:
    """The versions of a registered model, which has the aliases and tags that hold for all of them."""
    aliases = defaultdict(list)
    for alias in mappings(model.get("aliases")):
        aliases[str(alias.get("version"))].append(str(alias.get("alias")))
    for version in mappings(versions):
        told = [*_aliases(version), *aliases[str(version.get("version"))]]
        yield {
            "name": model["name"],
            **version,
            "aliases": list(dict.fromkeys(told)),
            "tags": _tags(model.get("tags")) | _tags(version.get("tags")),
        }


def _aliases(version: Mapping[str, Any]) -> list[str]:
    found = version.get("aliases")
    return [str(alias) for alias in found if not isinstance(alias, Mapping)] if isinstance(found, list) else []


def _tags(found: Any) -> dict[str, str]:
    if isinstance(found, Mapping):
        return {str(name): str(value) for name, value in found.items()}
    return {str(tag.get("key")): str(tag.get("value")) for tag in mappings(found)}


COLLECTORS = [inventory("mlflow", "MLflow model registry (REST answer or export)", is_registry, rows, nested=True)]
