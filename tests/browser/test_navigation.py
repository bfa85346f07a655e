"""Filters and links: what a reader chooses changes the numbers, stays in the address, and opens again from it."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from metrics.kpi import kpis
from tests.browser.reader import Reader, reading
from tests.serving import Server

CLAIMS = {"system": ["Claims Copilot"], "period": ["August 2026"]}


@pytest.fixture(scope="module")
def reader(chromium: Browser, sample_server: Server) -> Iterator[Reader]:
    with reading(chromium, sample_server.url) as reader:
        yield reader


def asked(reader: Reader) -> dict[str, list[str]]:
    """What the address asks for."""
    return parse_qs(urlsplit(reader.page.url).query)


def filters(reader: Reader) -> dict[str, list[str]]:
    """What the toolbar shows."""
    return {"system": [reader.chosen("System")], "period": [reader.chosen("Period")]}


def test_a_filter_changes_the_numbers_and_the_address_and_the_address_opens_the_same_view(
    reader: Reader, chromium: Browser, sample_server: Server
) -> None:
    reader.open("spend")
    everything = reader.metrics()
    reader.choose("System", "Claims Copilot")
    of_one_system = reader.metrics()
    reader.choose("Period", "August 2026")
    chosen, metrics = reader.text(), reader.metrics()
    assert len(metrics) == 4
    assert everything != of_one_system != metrics != everything
    assert asked(reader) == CLAIMS
    assert reader.wrong() == []
    with reading(chromium, sample_server.url) as another:
        another.open(reader.page.url.removeprefix(f"{sample_server.url}/"))
        assert another.metrics() == metrics
        assert another.text() == chosen
        assert another.wrong() == []


def test_chosen_filters_stay_when_the_page_changes(reader: Reader) -> None:
    reader.open("spend")
    reader.choose("System", "Claims Copilot")
    reader.choose("Period", "August 2026")
    for title in ("KPIs", "Data"):
        reader.go(title)
        assert filters(reader) == CLAIMS
        assert asked(reader).items() >= CLAIMS.items(), "a link to what is shown can be copied"
    assert reader.wrong() == []


def test_back_returns_to_the_page_before(reader: Reader) -> None:
    reader.open("spend")
    reader.go("Data")
    reader.go("KPIs")
    for title in ("Data", "Spend"):
        reader.back()
        assert reader.title == title
    assert reader.wrong() == []


def test_the_filters_of_a_link_stay_when_the_page_changes(reader: Reader) -> None:
    reader.open("spend?system=Claims+Copilot&period=August+2026")
    reader.go("KPIs")
    assert filters(reader) == CLAIMS
    reader.go("Spend")
    assert filters(reader) == CLAIMS


def test_a_row_of_the_scorecard_leads_to_its_kpi_and_keeps_the_filters(reader: Reader) -> None:
    reader.open("?period=August+2026")
    reader.choose("System", "Claims Copilot")
    title = kpis()["unit_cost"].title
    row = reader.page.locator("a.sl-row").filter(has_text=title)
    value = row.locator(".sl-value b").inner_text()
    row.click()
    expect(reader.page).to_have_url(re.compile("/kpis"))
    reader.settle()
    assert asked(reader) == {"kpi": [title], **CLAIMS}
    assert (reader.chosen("Kpi"), filters(reader)) == (title, CLAIMS)
    assert reader.page.locator(".sl-answer b").inner_text() == value
    reader.page.go_back()
    expect(reader.page.locator("a.sl-row").first).to_be_visible()
    reader.settle()
    assert filters(reader) == CLAIMS
    assert reader.wrong() == []


def test_every_row_of_the_scorecard_is_a_link(reader: Reader) -> None:
    reader.open()
    links = reader.page.locator("a.sl-row").evaluate_all("rows => rows.map(row => row.getAttribute('href'))")
    titles = [parse_qs(urlsplit(link).query)["kpi"][0] for link in links]
    assert sorted(titles) == sorted(kpi.title for kpi in kpis().values())


@pytest.mark.parametrize(
    ("link", "name", "value"),
    [
        ("spend?system=Nobody", "system", "Nobody"),
        ("?period=May+1999", "period", "May 1999"),
        ("kpis?kpi=Happiness", "kpi", "Happiness"),
        ("data?team=Claims&model=gpt-0", "model", "gpt-0"),
    ],
)
def test_a_link_that_asks_for_what_is_not_there_says_so_instead_of_showing_something_else(
    reader: Reader, link: str, name: str, value: str
) -> None:
    reader.open(link)
    [words] = reader.page.get_by_test_id("stAlert").all_inner_texts()
    assert value in words
    assert name in words.lower()
    assert reader.metrics() == []
    assert reader.page.locator("a.sl-row").count() == 0


def test_the_way_to_the_weekly_mean_and_to_the_rows_of_a_chart_is_one_click(reader: Reader) -> None:
    reader.open("spend")
    card = reader.page.locator("[data-testid=stMain] .st-key-daily_card")
    charts, tables = card.get_by_test_id("stPlotlyChart"), card.get_by_test_id("stDataFrame")
    assert (charts.count(), tables.count()) == (1, 0)
    reader.after(card.get_by_role("radio").last.click)
    assert (charts.count(), tables.count()) == (0, 1)
    assert reader.wrong() == []


def test_the_rows_behind_a_chart_can_be_downloaded(reader: Reader) -> None:
    reader.open("spend")
    with reader.page.expect_download() as download:
        reader.page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    assert download.value.path().read_text().startswith("day,provider,model,cost_usd")
    reader.trouble = [trouble for trouble in reader.trouble if "ERR_ABORTED" not in trouble]  # how a browser reports a download
    assert reader.wrong() == []
