"""A browser, a server with the sample company's ledger, and a folder for pictures."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.reader import ARGUMENTS
from tests.serving import ROOT, Server, serving

HERE = Path(__file__).parent
expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def sample_server(sample_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The sample company's ledger, served by a process of its own."""
    db = tmp_path_factory.mktemp("served") / "ledger.duckdb"
    shutil.copy(sample_path, db)
    with serving(db) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        missing = "Chromium is not installed (apt install chromium), so no page was opened"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept: the folder that SCREENSHOTS names, else one that git ignores."""
    folder = Path(os.environ.get("SCREENSHOTS", ROOT / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
