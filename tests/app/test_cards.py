"""Cards and rows as HTML: every word is escaped, nothing that is missing disappears."""

import dataclasses
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest

from app import cards
from app.cards import ScorecardRow
from app.drift_charts import heat_map
from app.marks import Bullet
from app.theme import STATUSES

EVIL = "<script>alert('x')</script>\" onload='y"
VOID = {"img", "br"}


class Parsed(HTMLParser):
    """The tags, the links and the text of a piece of HTML, which must close what it opens."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(body)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def row(**facts: Any) -> ScorecardRow:
    given: dict[str, Any] = {
        "title": "Prompt cache hit rate",
        "href": "kpis?kpi=Prompt+cache+hit+rate",
        "value_text": "30.7",
        "unit_text": "%",
        "bullet": Bullet(0.307, "higher", 0.3, 0.02, 0.28, 0.33, 1.0),
        "target_text": "≥ 30 %",
        "change_text": "rose 6.8 pp",
        "spark": (0.2, None, 0.307),
        "open_last": False,
        "evidence_text": "n 8,542",
        "status": "on target",
        "interval_text": "95 %: 28 to 33 %",
    }
    return ScorecardRow(**given | facts)


MISSING = row(value_text="—", unit_text="", bullet=None, status="not measured", reason="No incident register loaded", fills="incidents.csv")
EVIL_ROW = dataclasses.replace(
    row(),
    **dict.fromkeys(("title", "href", "value_text", "unit_text", "target_text", "change_text", "evidence_text", "interval_text"), EVIL),
)


@pytest.mark.parametrize(
    "body",
    [
        cards.scorecard({EVIL: [EVIL_ROW, dataclasses.replace(MISSING, title=EVIL, reason=EVIL, fills=EVIL)]}, EVIL, EVIL),
        cards.value_card(EVIL_ROW, EVIL, EVIL),
        cards.value_card(dataclasses.replace(MISSING, reason=EVIL, fills=EVIL), EVIL, EVIL),
        cards.facts([(EVIL, EVIL)]),
        cards.findings(EVIL, [(EVIL, EVIL)]),
        cards.check_row(False, EVIL, EVIL),
        cards.empty(EVIL, EVIL, EVIL),
        cards.chip("at risk", EVIL),
    ],
)
def test_what_a_source_calls_itself_stays_text(body: str) -> None:
    parsed = Parsed(body)
    assert "script" not in parsed.tags
    assert EVIL in parsed.text
    assert not any(name.startswith("on") for attributes in parsed.attributes for name in attributes)


def test_a_scorecard_has_a_row_per_kpi_under_its_block_and_a_link_in_each() -> None:
    parsed = Parsed(cards.scorecard({"Reliability and cost": [row(), MISSING], "Quality and safety": [row(title="Other")]}, "vs Aug"))
    assert [attributes["href"] for tag, attributes in zip(parsed.tags, parsed.attributes, strict=True) if tag == "a"] == [row().href] * 3
    for words in ("Reliability and cost", "Quality and safety", "30.7", "≥ 30 %", "rose 6.8 pp", "n 8,542", "On target", "vs Aug"):
        assert words in parsed.text


def test_a_kpi_that_is_not_measured_keeps_its_row_with_the_reason_and_the_file_that_fills_it() -> None:
    parsed = Parsed(cards.scorecard({"Reliability and cost": [MISSING]}, "vs Aug"))
    for words in (MISSING.title, "No incident register loaded", "incidents.csv", "Not measured"):
        assert words in parsed.text
    assert "—" not in parsed.text.split("Status")[1].split("Bar and dot")[0]
    for body in (cards.value_card(MISSING, "Value"), cards.empty("Incidents", "No incident register loaded", "incidents.csv")):
        assert "No incident register loaded · add incidents.csv" in Parsed(body).text


def test_the_key_explains_a_hollow_dot_only_where_there_is_one() -> None:
    for is_open in (True, False):
        assert ("Hollow dot" in cards.scorecard({"Cost": [row(open_last=is_open)]}, "vs Aug")) is is_open


def test_a_picture_that_says_more_than_the_row_has_words_and_any_other_has_an_empty_alternative() -> None:
    parsed = Parsed(cards.scorecard({"Cost": [row()]}, "vs Aug"))
    images = [attributes for tag, attributes in zip(parsed.tags, parsed.attributes, strict=True) if tag == "img"]
    assert [image["alt"] for image in images] == ["95 %: 28 to 33 %", "", ""]
    assert all((image["src"] or "").startswith("data:image/svg+xml,") for image in images), "nothing is fetched"


@pytest.mark.parametrize("status", list(STATUSES))
def test_a_status_is_a_shape_and_a_word(status: Any) -> None:
    parsed = Parsed(cards.chip(status))
    assert parsed.text == STATUSES[status].word
    assert parsed.tags.count("img") == 1


def test_counts_name_every_status_and_kpis_without_a_target_only_where_there_are_some() -> None:
    assert Parsed(cards.status_counts({"on target": 3})).text == "3on target0at risk0off target0not measured"
    assert Parsed(cards.status_counts({"none": 2})).text.endswith("2no target")


def test_the_qualifier_stands_beside_the_chip() -> None:
    text = Parsed(cards.value_card(row(), "Value", "1 system off target")).text
    assert text.index("On target") < text.index("1 system off target") < text.index("30.7")


def test_a_link_keeps_the_filters_and_names_one_kpi() -> None:
    assert cards.kpi_href("A & B", {"system": "Über", "kpi": "old"}) == "kpis?kpi=A+%26+B&system=%C3%9Cber"


def test_a_block_carries_its_own_rules_for_both_modes_and_no_one_elses() -> None:
    block = cards.block("body")
    style = block[block.index("<style>") + 7 : block.index("</style>")]
    assert "light-dark(" in style
    assert "http" not in style
    rules = [line.strip() for line in style.splitlines() if "{" in line and not line.startswith("@")]
    assert all(selector.strip().startswith(".sl") for rule in rules for selector in rule.split("{")[0].split(","))


def test_the_map_of_drift_says_in_text_and_shape_what_it_says_in_colour() -> None:
    cells = pl.DataFrame(
        {
            "system": ["Claims <b>", "Claims <b>", "Search"],
            "signal": ["output_tokens", "latency_ms", "output_tokens"],
            "psi": [1.1, 0.02, 0.0],
            "size": ["major", "none", "few"],
            "words": ["PSI 1.10", "PSI 0.02", "n 12"],
        }
    )
    html = heat_map(cells, ("Claims <b>", "output_tokens"))
    assert "<td class='sl-major sl-chosen' title='PSI 1.10'>■ <span>1.10</span></td>" in html
    assert "<td class='sl-few' title='n 12'><span>few</span></td><td></td>" in html
    assert "Claims &lt;b&gt;" in html
    assert "■ major, PSI ≥ 0.25" in html
