"""Pages over the sample company's ledger: what they show is what the metric functions say, to the last digit."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import app.views
from app import quantities, session
from ingest.store import Store
from metrics import filters, reconcile_report, scorecard, spend
from metrics.filters import Period, Scope
from metrics.kpi import kpis
from metrics.rate_hints import rate_hints
from metrics.reconcile import reconcile

PAGES = sorted(path.stem for path in Path(app.views.__path__[0]).glob("*.py") if "\ndef page() -> None:" in path.read_text("utf-8"))
SEPTEMBER = Scope(Period.parse("2026-09"))


def show(name: str, **query: str | list[str]) -> AppTest:
    page = AppTest.from_string(f"from app.views import {name}\n{name}.page()", default_timeout=60)
    for parameter, value in query.items():
        page.query_params[parameter] = value
    return page.run()


@pytest.fixture(scope="module")
def served(sample: Store) -> Iterator[Store]:
    """The sample company's ledger, as the pages read it."""
    session.use(sample)
    st.cache_data.clear()
    yield sample
    session._store = None


@pytest.fixture
def empty(store: Store, served: Store) -> Iterator[Store]:
    session.use(store)
    yield store
    session.use(served)


def test_the_pages_of_the_views_are_found() -> None:
    assert {"posture", "spend", "kpis", "data", "start"} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_a_complaint(served: Store, name: str) -> None:
    page = show(name)
    assert not page.exception
    assert not page.error
    assert page.title[0].value


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_an_empty_ledger_says_how_to_fill_it(empty: Store, name: str) -> None:
    page = show(name)
    assert not page.exception
    assert not page.error
    assert any("The ledger is empty" in caption.value for caption in page.caption)


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ({}, SEPTEMBER),
        ({"period": "August 2026"}, Scope(Period.parse("2026-08"))),
        ({"period": "Q3 2026"}, Scope(Period.parse("2026-Q3"))),
        ({"period": "Week 39 of 2026"}, Scope(Period.parse("2026-W39"))),
        ({"system": "Claims Copilot"}, Scope(SEPTEMBER.period, {"system": "claims-copilot"})),
        ({"provider": "openai"}, Scope(SEPTEMBER.period, {"provider": "openai"})),
        ({"environment": "production"}, Scope(SEPTEMBER.period, {"environment": "production"})),
    ],
)
def test_spend_shows_what_the_metrics_say_and_its_rows_add_up_to_it(served: Store, query: dict[str, str], scope: Scope) -> None:
    page = show("spend", **query)
    total = spend.spend(served, scope).total_usd
    assert page.metric[0].value == quantities.money(total)
    assert page.metric[1].value == quantities.quantity(scorecard.evaluate(served, kpis()["unit_cost"], scope).value, "usd")
    found = {"models": "model", "movers": "system"}
    frames = [table.value for table in page.dataframe]
    for column in found.values():
        [rows] = [frame for frame in frames if column in frame.columns and "cost_usd" in frame.columns]
        assert rows["cost_usd"].sum() == pytest.approx(float(total or 0), abs=1e-9)


@pytest.mark.parametrize("period", ["2026-07", "2026-08", "2026-09", "2026-Q3", "2026-W36"])
@pytest.mark.parametrize("dimensions", [{}, {"system": "claims-copilot"}, {"provider": "openai"}, {"environment": "production"}])
def test_every_breakdown_of_spend_adds_up_to_the_headline_to_the_last_digit(sample: Store, period: str, dimensions: dict[str, str]) -> None:
    found = spend.spend(sample, Scope(Period.parse(period), dimensions))
    assert found.total_usd is not None
    for name in ("provider", "model", "system", "team", "day", "kind"):
        assert Decimal(found.by(name)["cost_usd"].sum()) == found.total_usd
    assert Decimal(found.by_day()["cost_usd"].sum()) + found.other_usd == found.total_usd


def test_the_total_is_the_same_on_every_page_that_names_it(served: Store) -> None:
    total = spend.spend(served, SEPTEMBER).total_usd
    assert quantities.money_cents(total) in show("posture").caption[0].value.replace("\\", "")
    assert show("spend").metric[0].value == quantities.money(total)


def test_the_evidence_of_unit_cost_adds_up_to_its_numerator(served: Store) -> None:
    result = scorecard.evaluate(served, kpis()["unit_cost"], SEPTEMBER)
    assert result.evidence is not None
    rows = served.query(result.evidence.sql, result.evidence.params)
    assert float(rows["usd_effective_cost"].sum()) == pytest.approx(result.numerator, abs=1e-9)


@pytest.mark.parametrize("metric_id", ["unit_cost", "incident_rate", "cache_hit_rate", "time_to_mitigate"])
def test_the_page_of_a_kpi_says_what_it_is_and_lists_what_it_rests_on(served: Store, metric_id: str) -> None:
    kpi = kpis()[metric_id]
    page = show("kpis", kpi=kpi.title)
    result = scorecard.evaluate(served, kpi, SEPTEMBER)
    assert not page.exception
    assert kpi.definition.replace("$", r"\$") in page.caption[0].value
    assert result.evidence is not None
    count = served.query(f"select count(*) as n from ({result.evidence.sql}) e", result.evidence.params)["n"][0]
    assert any("Evidence" in text.value and f"{count:,} rows" in text.value for text in page.markdown)


@pytest.mark.parametrize(("step", "windows"), [("Weeks", 12), ("Months", 3), ("Quarters", 1)])
def test_the_course_of_a_kpi_is_drawn_for_the_company_and_each_system(served: Store, step: str, windows: int) -> None:
    page = show("kpis", kpi="Production readiness", steps_3=step)
    assert not page.exception
    [figure] = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart") if "trend" in chart.proto.id]
    lines = {trace["name"]: len(trace["x"]) for trace in figure["data"] if trace.get("name")}
    assert lines["All systems"] == windows
    assert "Policy Search" in lines


def test_the_evidence_of_every_kpi_can_be_listed(sample: Store) -> None:
    for result in scorecard.scorecard(sample, SEPTEMBER):
        if result.value is not None:
            assert result.evidence is not None, result.metric_id
            assert sample.query(result.evidence.sql, result.evidence.params).height > 0, result.metric_id


def test_a_kpi_in_the_scorecard_is_the_one_of_its_page(served: Store) -> None:
    page = show("posture")
    html = "".join(str(element.proto.body) for element in page.get("html"))
    for kpi in kpis().values():
        assert kpi.title.replace("&", "&amp;") in html
    value = scorecard.evaluate(served, kpis()["unit_cost"], SEPTEMBER).value
    assert f"<b>{quantities.money(value)}</b>" in html


def test_the_default_window_is_the_last_complete_month(served: Store) -> None:
    assert show("posture").selectbox(key="period").value == "September 2026"


def test_filters_offer_what_the_ledger_has(served: Store) -> None:
    page = show("spend")
    assert page.selectbox(key="system").options[0] == "All systems"
    assert set(page.selectbox(key="provider").options[1:]) == set(filters.values(served)["provider"])
    assert {"September 2026", "August 2026", "July 2026", "Q3 2026", "Range of days"} <= set(page.selectbox(key="period").options)


def test_a_filter_changes_the_headline(served: Store) -> None:
    page = show("spend")
    before = page.metric[0].value
    page.selectbox(key="system").set_value("Claims Copilot").run()
    own = spend.spend(served, Scope(SEPTEMBER.period, {"system": "claims-copilot"})).total_usd
    assert page.metric[0].value == quantities.money(own) != before


def test_a_range_of_days_is_counted_with_its_last_day(served: Store) -> None:
    page = show("spend", period="Range of days", range=["2026-09-01", "2026-09-07"])
    total = spend.spend(served, Scope(Period.parse("2026-09-01..2026-09-07"))).total_usd
    assert page.metric[0].value == quantities.money(total)


def test_a_range_of_days_that_is_none_stops_with_a_message(served: Store) -> None:
    page = show("spend", period="Range of days", range=["2026-09-01", "tomorrow"])
    assert any("tomorrow" in error.value for error in page.error)
    assert len(page.metric) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("system", "Nobody"), ("period", "May 1999"), ("team", "x"), ("provider", "nobody"), ("model", "m"), ("environment", "moon")],
)
def test_an_unknown_value_in_a_link_stops_with_the_values_that_there_are(served: Store, name: str, value: str) -> None:
    page = show("spend", **{name: value})
    [error] = page.error
    assert f"“{value}”" in error.value
    assert len(page.selectbox) == 0
    assert len(page.metric) == 0


def test_what_only_a_bill_knows_can_be_chosen_too(served: Store) -> None:
    lines = spend.spend(served, SEPTEMBER).lines.filter(pl.col("kind") == "usage")
    assert lines.filter(pl.col("system").is_null())["cost_usd"].sum() > 0
    page = show("spend")
    assert "Unattributed" in page.selectbox(key="system").options
    for name in ("provider", "model"):
        assert set(lines[name].drop_nulls()) <= set(page.selectbox(key=name).options), name


def test_the_worst_buckets_of_the_page_are_those_of_the_reconciliation(served: Store) -> None:
    rows = reconcile_report.bucket_rows(reconcile(served, SEPTEMBER)).filter(pl.col("state").is_not_null())
    series = reconcile_report.by_series(rows)
    assert series["days"].sum() == rows.height
    assert series["billed_usd"].sum() == rows["billed_usd"].sum()
    page = show("reconciliation")
    shown = next(frame.value for frame in page.dataframe if "seller" in frame.value.columns)
    assert shown["unexplained"].iloc[0] == pytest.approx(float(series["unexplained"][0]))
    assert (shown["billed_usd"].iloc[0], shown["days"].iloc[0]) == (pytest.approx(float(series["billed_usd"][0])), series["days"][0])


def test_one_click_records_the_rate_that_the_bill_shows(served: Store, sample_path: Path, tmp_path: Path) -> None:
    shutil.copy(sample_path, tmp_path / "own.duckdb")
    own = Store(tmp_path / "own.duckdb")
    session.use(own)
    [hint] = rate_hints(reconcile(own, SEPTEMBER))
    before = reconcile(own, SEPTEMBER).bridge()
    page = show("reconciliation")
    page.button(key="accept_0").click().run()
    found = reconcile(own, SEPTEMBER)
    after = found.bridge()
    assert not page.exception
    assert not any(button.key == "accept_0" for button in page.button)
    assert rate_hints(found) == []
    assert before["unexplained"] - after["unexplained"] == pytest.approx(hint.unexplained_usd, abs=Decimal("0.01"))
    assert own.query("select count(*) from events where kind = 'reprice'").item() == 1
    assert own.query("select count(*) from prices where kind = 'contract' and starts_with(source, 'accepted')").item() > 0
    session.use(served)
    own.close()


def test_the_inventory_says_of_drift_detection_what_kpi_11_says(served: Store) -> None:
    page = show("inventory")
    [systems] = [frame.value for frame in page.dataframe if "drift" in frame.value.columns]
    names = filters.system_names(served)
    for system in ("claims-copilot", "contact-centre-assist", "underwriting-notes"):
        own = scorecard.evaluate(served, kpis()["drift_coverage"], Scope(SEPTEMBER.period, {"system": system}), is_compared=False)
        [told] = systems.loc[systems["system"] == names[system], "drift"]
        assert ("Watched" in told[0]) == (own.value == 1), system
