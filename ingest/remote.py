"""Files in object stores, copied to a folder of this machine as a stream so that they load like any other.

The drivers are the `cloud` extra. They find their own credentials, where the tools of each cloud keep them.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from ingest.errors import SourceError, UnknownFormat
from ingest.sources import find_files

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "memory")
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.")
EXTRA = "spanledger[cloud]"
WORDS_SHOWN = 200


def is_remote(text: str) -> bool:
    """Whether a command line names an address rather than a path."""
    return ADDRESS.match(text) is not None


@contextmanager
def local_files(texts: Sequence[str], say: Callable[[str], None] = lambda words: None) -> Iterator[list[tuple[Path, str]]]:
    """The files that paths and addresses name, each with the name to load it by; copies are gone at the end.

    Raises UnknownFormat for a scheme that is not read, SourceError for what a store does not give.
    """
    with TemporaryDirectory(prefix="spanledger-") as folder:
        found: list[tuple[Path, str]] = []
        for number, text in enumerate(texts):
            found += _copies(text, Path(folder) / str(number), say) if is_remote(text) else find_files([Path(text)])
        yield found


def _copies(address: str, folder: Path, say: Callable[[str], None]) -> list[tuple[Path, str]]:
    """Copies of the object at an address, or of all objects below it, under the names they have in the store."""
    store, root = _store(address)
    try:
        objects = sorted(path for path in store.find(root) if not path.endswith("/"))
    except Exception as error:  # what drivers raise is as varied as the clouds
        raise _failure(address, error) from error
    if not objects:
        raise UnknownFormat(f"{address} does not exist or is empty", "Check the address, and that its files may be listed")
    names: dict[Path, str] = {}
    for path in objects:
        below = path.removeprefix(root).lstrip("/")
        name = f"{address.rstrip('/')}/{below}" if below else address
        copy = folder / _safe(below or PurePosixPath(path).name, name)
        say(f"copying {name}")
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(path, str(copy))
        except Exception as error:
            raise _failure(name, error) from error
        names[copy] = name
    if objects == [root]:
        return list(names.items())
    return [(path, names[path]) for path, _ in find_files([folder])]


def _store(address: str) -> tuple[Any, str]:
    """The file system of an address and the path in it."""
    scheme = address.partition("://")[0].lower()
    if scheme not in SCHEMES or "::" in address:
        raise UnknownFormat(f"{address} is no address that is read", "Use s3://, gs:// or az://, or download the files and load them")
    try:
        fsspec = importlib.import_module("fsspec")
        store, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise SourceError(f"{address} needs a driver that is not installed", f"Install it: pip install '{EXTRA}'") from error
    except Exception as error:
        raise _failure(address, error) from error
    return store, root.rstrip("/")


def _safe(below: str, name: str) -> PurePosixPath:
    """Where a copy goes inside its folder. Raises SourceError for a name that leads out of it."""
    path = PurePosixPath(below)
    if path.is_absolute() or ".." in path.parts or "\x00" in below:
        raise SourceError(f"{name} has a name that no file on this machine can have", "Name the other files one by one")
    return path


def _failure(name: str, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{name} does not exist", "Check the address")
    words = " ".join(str(error).split()).rstrip(".")[:WORDS_SHOWN]
    return SourceError(
        f"{name} cannot be read ({type(error).__name__}{': ' + words if words else ''})", "Check the address and the access of your account"
    )
