"""Pages of usage and cost APIs: a list of buckets of time, each with its results."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ingest.errors import SourceError
from ingest.probe import Probe

# A page does not name the organization; who collects pages of several may add the key.
PAGE = {"organization_id": "text?", "has_more": "bool?"}


def results(page: Any, times: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The results of a page with the times of their bucket; a bucket without results gives a row with times only.

    Raises SourceError for a document of another shape.
    """
    if not _is_page(page, times):
        raise SourceError(f"no page of buckets with {' and '.join(times)}", "Save the answers of the API as they came")
    about = {name: page.get(name) for name in PAGE}
    for bucket in page["data"]:
        for result in bucket["results"] or [{}]:
            yield {**about, **result, **{name: bucket[name] for name in times}}


def recogniser(times: Iterable[str], fits: Callable[[Mapping[str, Any]], bool], word: str) -> Callable[[Probe], bool]:
    """Recognises pages whose every result fits; one without any result is told by a word in its file's name."""
    def recognise(probe: Probe) -> bool:
        if not _is_page(probe.json, times):
            return False
        found = [result for bucket in probe.json["data"] for result in bucket["results"]]
        return all(map(fits, found)) if found else bool(probe.json["data"]) and word in probe.path.name.lower()
    return recognise


def _is_page(page: Any, times: Iterable[str]) -> bool:
    return (isinstance(page, Mapping) and isinstance(page.get("data"), list)
            and all(isinstance(bucket, Mapping) and {*times, "results"} <= bucket.keys() and isinstance(bucket["results"], list)
                    and all(isinstance(result, Mapping) for result in bucket["results"]) for bucket in page["data"]))
