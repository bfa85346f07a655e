"""Hugging Face model cards: the front matter of a model's README.md, with its licence, base model, data and results."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ingest.governance import markdown
from ingest.governance.inventory import extra, inventory, mappings
from ingest.probe import Probe, read_bytes

# Keys of the front matter that only a model has.
OF_A_MODEL = {"base_model", "pipeline_tag", "library_name", "model-index", "model_name"}


def is_card(probe: Probe) -> bool:
    return probe.form == "markdown" and not OF_A_MODEL.isdisjoint(markdown.parse(probe.head).meta)


def documents(probe: Probe) -> Iterator[tuple[int, Any]]:
    yield 1, {"page": markdown.parse(read_bytes(probe.path)), "folder": PurePath(probe.name).parent.name}


def rows(document: Any) -> Iterator[dict[str, Any]]:
    """The model by the name it gives itself, else its title or the folder that the card lies in."""
    page, meta = document["page"], document["page"].meta
    results = list(mappings(meta.get("model-index")))
    title = markdown.plain(page.title or "")
    named = meta.get("model_id") or meta.get("model_name") or next((result.get("name") for result in results), None)
    full = str(named or ("" if " " in title else title) or document["folder"] or title)
    provider, _, name = full.rpartition("/")
    bases = _texts(meta.get("base_model"))
    yield {
        "item_id": full or None,
        "kind": "model",
        "provider": provider or None,
        "name": name or None,
        "version": meta.get("version"),
        "evaluation_ref": next(_metrics(results), None),
        "base_model": bases[0] if bases else None,
        "depends_on": [*bases[1:], *_texts(meta.get("datasets"))] or None,
        "extra": extra(
            license=meta.get("license"), task=meta.get("pipeline_tag"), library=meta.get("library_name"), language=meta.get("language"),
            tags=meta.get("tags"), relation=meta.get("base_model_relation"), results=list(_metrics(results)),
        ),
    }  # fmt: skip


def _metrics(results: list[Mapping[str, Any]]) -> Iterator[str]:
    """Each result as `data set: metric = value`."""
    for index in results:
        for result in mappings(index.get("results")):
            dataset = result.get("dataset")
            name = (dataset.get("name") or dataset.get("type")) if isinstance(dataset, Mapping) else None
            for metric in mappings(result.get("metrics")):
                yield f"{name or 'unnamed data'}: {metric.get('name') or metric.get('type')} = {metric.get('value')}"


def _texts(found: Any) -> list[str]:
    if isinstance(found, list):
        return [str(text) for text in found if text]
    return [str(found)] if found else []


COLLECTORS = [inventory("model_cards", "Hugging Face model card (front matter of README.md)", is_card, rows, read=documents)]
