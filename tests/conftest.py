"""What tests at every level share: the fixtures folder, and a ledger loaded from the sample company."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from app import settings
from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT.parent / "shared" / "fixtures"
SAMPLE = ROOT / "sample_data" / "data"
HASH_KEY = b"a key for tests only"
PATIENCE_S = 300

# A busy machine is slow, not wrong.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Real telemetry, bills and records with their truth, beside the project."""
    if not FIXTURES.is_dir():
        pytest.skip("../shared/fixtures is absent")
    return FIXTURES


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty ledger."""
    store = Store(tmp_path / "ledger.duckdb")
    yield store
    store.close()


@pytest.fixture
def loader(store: Store) -> Loader:
    """A loader into the empty ledger, without attribution rules."""
    return Loader(store, HASH_KEY)


@pytest.fixture(scope="session")
def sample_path(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The sample company's ledger, loaded once; tests read copies or open it read-only.

    The first worker to need it loads it for all of them; the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    path = (base if worker_id == "master" else base.parent) / "sample.duckdb"
    mine = path.with_suffix(".loading")
    try:
        mine.mkdir()
    except FileExistsError:
        for _ in range(PATIENCE_S):
            if path.exists():
                return path
            time.sleep(1)
        pytest.fail("the worker that loads the sample company did not finish")
    store = Store(mine / path.name)
    company = settings.read(path, SAMPLE.parent)
    outcomes = Loader(store, HASH_KEY, company.attribution, company.user_prices).load(find_files([SAMPLE]))
    store.close()
    assert {outcome.status for outcome in outcomes} == {"loaded"}, [o.line() for o in outcomes if o.status != "loaded"]
    return (mine / path.name).rename(path)


@pytest.fixture(scope="session")
def sample(sample_path: Path) -> Iterator[Store]:
    """The sample company's ledger, open for reading."""
    store = Store(sample_path, read_only=True)
    yield store
    store.close()


@pytest.fixture(scope="session")
def truth() -> dict[str, Any]:
    """What the generator of the sample company knows of it."""
    known: dict[str, Any] = json.loads((SAMPLE.parent / "truth.json").read_text("utf-8"))
    return known
