"""Backstage catalogs: systems, and the components, APIs and resources that they are made of, with what each depends on."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ingest.errors import SourceError
from ingest.governance.inventory import WORDS, extra, inventory, labelled, mappings
from ingest.probe import Probe, read_bytes
from ingest.table import YamlText

API_VERSION = "backstage.io/"
ITEM_KINDS = ("component", "api", "resource")


def is_catalog(probe: Probe) -> bool:
    return probe.form == "yaml" and b"apiVersion:" in probe.head and API_VERSION.encode() in probe.head and b"kind:" in probe.head


def documents(probe: Probe) -> Iterator[tuple[int, Any]]:
    """The file's documents as one catalog: a system learns its services from the components beside it."""
    try:
        nodes = [node for node in yaml.compose_all(read_bytes(probe.path), Loader=YamlText) if node is not None]
        entities = [entity for entity in yaml.load_all(read_bytes(probe.path), Loader=YamlText) if entity is not None]
    except yaml.YAMLError as error:
        raise SourceError(f"broken YAML ({str(error).splitlines()[0]})", "Mend the file") from error
    services = defaultdict(list)
    for entity in mappings(entities):
        if str(entity.get("kind")).lower() == "component" and (system := _part(entity, "spec").get("system")):
            services[_ref(system, "system")].append(_part(entity, "metadata").get("name"))
    for node, entity in zip(nodes, entities, strict=True):
        yield node.start_mark.line + 1, {"entity": entity, "services": services}


def rows(document: Any) -> Iterator[dict[str, Any]]:
    """The row of an entity that is a system or belongs to one; groups, users and locations are neither."""
    entity, services = document["entity"], document["services"]
    if not isinstance(entity, Mapping) or not str(entity.get("apiVersion")).startswith(API_VERSION):
        return
    kind = str(entity.get("kind")).lower()
    metadata, spec = _part(entity, "metadata"), _part(entity, "spec")
    labels = labelled({**_part(metadata, "labels"), **_part(metadata, "annotations")})
    common = {
        "name": metadata.get("title") or metadata.get("name"),
        "owner": _ref(spec.get("owner"), "group"),
        "lifecycle": str(spec["lifecycle"]).lower() if spec.get("lifecycle") else None,
        "depends_on": [_ref(ref, "component") for ref in (*_list(spec, "dependsOn"), *_list(spec, "consumesApis"))] or None,
    }
    if kind == "system":
        own_id = _ref(metadata.get("name"), "system", metadata.get("namespace"))
        told = {"type": spec.get("type"), "domain": spec.get("domain"), "tags": metadata.get("tags")}
        yield common | {"intended_purpose": metadata.get("description"), "service_names": services.get(own_id)} | labels | {
            "system_id": own_id, "extra": extra(**told)}  # fmt: skip
    elif kind in ITEM_KINDS:
        told = {"type": spec.get("type"), "description": metadata.get("description"), "tags": metadata.get("tags"),
                "provides_apis": spec.get("providesApis"), "risk_tier": labels.pop("risk_tier", None)}  # fmt: skip
        yield (
            common
            | labels
            | {
                "item_id": f"{kind}:{_ref(metadata['name'], kind, metadata.get('namespace'))}" if metadata.get("name") else None,
                "kind": WORDS.kinds.get(str(spec.get("type")).lower(), "tool"),
                "system_id": _ref(spec.get("system"), "system") or labels.get("system_id"),
                "extra": extra(**told),
            }
        )


def _part(entity: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entity.get(name)
    return part if isinstance(part, Mapping) else {}


def _list(spec: Mapping[str, Any], name: str) -> list[str]:
    found = spec.get(name)
    return [str(ref) for ref in found] if isinstance(found, list) else []


def _ref(reference: Any, kind: str, namespace: str | None = None) -> str | None:
    """An entity reference `kind:namespace/name` without the kind that is meant anyway and without the default namespace."""
    if not reference:
        return None
    text = str(reference).strip().removeprefix(f"{kind}:") if kind in ("group", "system") else str(reference).strip()
    text = text.replace(":default/", ":").removeprefix("default/")
    return f"{namespace}/{text}" if namespace and namespace != "default" else text


COLLECTORS = [inventory("backstage", "Backstage catalog (catalog-info.yaml)", is_catalog, rows, read=documents)]
