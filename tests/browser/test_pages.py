"""Every page, light and dark: it opens without trouble, names its charts, cuts nothing off, and is kept as a picture."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from metrics.kpi import kpis
from tests.browser.reader import WIDE, Reader, Scheme, reading
from tests.serving import ROOT, Server, serving

SCHEMES = ("light", "dark")
TALL, NARROW_PX = {"width": WIDE["width"], "height": 1700}, 1100  # pictures hold whole pages
PAGES = {
    title: "" if "default=True" in rest else link
    for title, link, rest in re.findall(r'title="([^"]+)", url_path="([^"]+)"(.*)', (ROOT / "app" / "main.py").read_text("utf-8"))
}
README_PICTURE = ROOT / "tests" / "screenshots" / "posture.png"
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}
# Streamlit looks for its server beside the page before it looks at the root; nothing else may be refused.
STREAMLITS_OWN = ("_stcore/health", "_stcore/host-config")


@pytest.fixture(scope="module", params=SCHEMES)
def reader(request: pytest.FixtureRequest, chromium: Browser, sample_server: Server) -> Iterator[Reader]:
    with reading(chromium, sample_server.url, request.param) as reader:
        reader.page.set_viewport_size(TALL)
        yield reader


def keep(reader: Reader, folder: Path, name: str) -> None:
    """A picture of the page in full length."""
    box = reader.page.get_by_test_id("stMainBlockContainer").bounding_box()
    assert box is not None
    height = min(max(round(box["y"] + box["height"]), WIDE["height"]), TALL["height"])
    scheme = "dark" if background(reader) == BACKGROUNDS["dark"] else "light"
    reader.page.screenshot(path=folder / f"{name}-{scheme}.png", clip={"x": 0, "y": 0, "width": TALL["width"], "height": height})


def background(reader: Reader) -> str:
    return reader.page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")


def assert_nothing_is_cut(reader: Reader) -> None:
    wide = reader.cut()
    reader.resize({**TALL, "width": NARROW_PX})
    narrow = reader.cut()
    for _ in range(20):  # charts follow a new width when the machine finds the time
        if not narrow:
            break
        reader.page.wait_for_timeout(100)
        narrow = reader.cut()
    reader.page.set_viewport_size(TALL)
    assert (wide, narrow) == ([], []), f"cut at {TALL['width']} and at {NARROW_PX} pixels"


@pytest.mark.parametrize(("title", "link"), PAGES.items())
def test_a_page_opens_from_a_link(reader: Reader, pictures: Path, title: str, link: str) -> None:
    reader.open(link)
    keep(reader, pictures, re.sub(r"\W+", "-", title.lower()))
    assert reader.title == title
    assert reader.wrong() == []
    assert sorted(reader.refused) == ([f"/{link}/{path}" for path in STREAMLITS_OWN] if link else [])
    assert reader.unnamed() == []
    if background(reader) == BACKGROUNDS["light"]:  # both modes are laid out alike
        assert_nothing_is_cut(reader)


@pytest.mark.parametrize("title", [kpi.title for kpi in kpis().values()])
def test_the_page_of_a_kpi_opens(reader: Reader, pictures: Path, title: str) -> None:
    if not reader.page.url.split("?")[0].endswith("/kpis"):
        reader.open("kpis")
    if reader.chosen("Kpi") != title:
        reader.choose("Kpi", title)
    keep(reader, pictures, "kpi-" + re.sub(r"\W+", "-", title.lower()).strip("-"))
    assert reader.wrong() == []
    assert title.split(",")[0] in reader.text()
    assert reader.unnamed() == []
    if background(reader) == BACKGROUNDS["light"]:  # both modes are laid out alike
        assert_nothing_is_cut(reader)


def test_the_sidebar_names_every_page(reader: Reader) -> None:
    reader.open("data")
    links = reader.page.get_by_test_id("stSidebarNavLink").all_inner_texts()
    assert [link.splitlines()[-1] for link in links] == list(PAGES)


def test_the_page_is_as_light_or_dark_as_the_readers_system(reader: Reader, request: pytest.FixtureRequest) -> None:
    reader.open("data")
    assert background(reader) == BACKGROUNDS[request.node.callspec.params["reader"]]


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("empty") / "ledger.duckdb") as server:
        yield server


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_of_an_empty_ledger_opens(chromium: Browser, empty_server: Server, pictures: Path, scheme: Scheme) -> None:
    with reading(chromium, empty_server.url, scheme) as reader:
        reader.page.set_viewport_size(TALL)
        reader.open()
        keep(reader, pictures, "start")
        assert reader.refused == []
        assert reader.unnamed() == []
        for title in PAGES:
            if reader.title != title:
                reader.go(title)
            assert "The ledger is empty" in reader.text()
            assert reader.wrong() == []


@pytest.mark.parametrize("link", ["", "data"])
def test_an_empty_ledger_says_how_to_fill_it(chromium: Browser, empty_server: Server, link: str) -> None:
    with reading(chromium, empty_server.url) as reader:
        reader.open(link)
        for words in ("spanledger load", "spanledger demo", f"OTEL_EXPORTER_OTLP_ENDPOINT={empty_server.url}\n"):
            assert words in reader.text()


def test_nothing_is_cut_on_the_page_of_an_empty_ledger(chromium: Browser, empty_server: Server) -> None:
    with reading(chromium, empty_server.url) as reader:
        reader.open()
        assert_nothing_is_cut(reader)


@pytest.mark.skipif(os.environ.get("SCREENSHOTS_README") != "1", reason="the picture of the README is drawn with SCREENSHOTS_README=1")
def test_the_readme_shows_the_posture_page(chromium: Browser, sample_server: Server) -> None:
    with reading(chromium, sample_server.url) as reader:
        reader.open()
        README_PICTURE.parent.mkdir(exist_ok=True)
        reader.page.screenshot(path=README_PICTURE)
