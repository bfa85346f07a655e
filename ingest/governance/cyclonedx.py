"""CycloneDX ML-BOMs: the models and data sets of an application, with their lineage and what each depends on."""

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.errors import SourceError
from ingest.governance.inventory import extra, inventory, mappings
from ingest.probe import Probe

KINDS = {"machine-learning-model": "model", "data": "dataset"}
FIRST_WITH_MODELS = (1, 5)


def is_bom(probe: Probe) -> bool:
    return isinstance(probe.json, Mapping) and probe.json.get("bomFormat") == "CycloneDX"


def rows(document: Any) -> Iterator[dict[str, Any]]:
    """The models and data sets of a BOM. Raises SourceError where its version knows none."""
    version = str(document.get("specVersion"))
    if tuple(int(part) for part in version.split(".") if part.isdigit()) < FIRST_WITH_MODELS:
        raise SourceError(f"CycloneDX {version} describes no models", "Export it as version 1.5 or later")
    components = list(_components(document))
    ids = {str(component.get("bom-ref")): _id(component) for component in components}
    needs = {str(entry.get("ref")): _list(entry, "dependsOn") for entry in mappings(document.get("dependencies"))}
    application = _part(_part(document, "metadata"), "component").get("name")
    for component in components:
        if kind := KINDS.get(str(component.get("type"))):
            depends_on = [ids.get(ref, ref) for ref in needs.get(str(component.get("bom-ref")), ())]
            yield _row(component, kind, application, [*depends_on, *_datasets(component, ids)])


def _row(component: Mapping[str, Any], kind: str, application: str | None, depends_on: list[str]) -> dict[str, Any]:
    card = _part(component, "modelCard")
    parameters, analysis = _part(card, "modelParameters"), _part(card, "quantitativeAnalysis")
    ancestors = [_id(ancestor) for ancestor in mappings(_part(component, "pedigree").get("ancestors"))]
    supplier = _part(component, "supplier").get("name") or _part(component, "manufacturer").get("name")
    return {
        "item_id": _id(component) if component.get("name") else None,
        "kind": kind,
        "system_id": application,
        "provider": supplier or component.get("publisher") or component.get("group"),
        "name": component.get("name"),
        "version": component.get("version"),
        "owner": next((author.get("name") for author in mappings(component.get("authors"))), component.get("author")),
        "data_classification": next((data.get("classification") for data in mappings(component.get("data"))), None),
        "base_model": ancestors[0] if ancestors else None,
        "depends_on": list(dict.fromkeys((*ancestors[1:], *depends_on))) or None,
        "extra": extra(
            purl=component.get("purl"), description=component.get("description"), task=parameters.get("task"),
            architecture=parameters.get("architectureFamily"), metrics=analysis.get("performanceMetrics"),
            considerations=card.get("considerations"), licenses=component.get("licenses"),
        ),
    }  # fmt: skip


def _components(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All components, those inside others included."""
    for component in mappings(holder.get("components")):
        yield component
        yield from _components(component)


def _datasets(component: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[str]:
    """What a model was trained on: references to components, or data sets described in place."""
    for dataset in mappings(_part(_part(component, "modelCard"), "modelParameters").get("datasets")):
        if found := ids.get(str(dataset.get("ref"))) or dataset.get("name") or dataset.get("ref"):
            yield found


def _id(component: Mapping[str, Any]) -> str:
    """`group/name@version`, which stays the same from one BOM to the next, as references inside a file do not."""
    name = "/".join(str(component[part]) for part in ("group", "name") if component.get(part))
    return f"{name}@{component['version']}" if component.get("version") else name


def _list(holder: Mapping[str, Any], name: str) -> list[str]:
    found = holder.get(name)
    return [str(item) for item in found] if isinstance(found, list) else []


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = holder.get(name)
    return part if isinstance(part, Mapping) else {}


COLLECTORS = [inventory("cyclonedx", "CycloneDX ML-BOM, 1.5 or later (JSON)", is_bom, rows)]
