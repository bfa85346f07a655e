"""Cards and rows as HTML text, every word of it escaped, with thin wrappers that put them on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from urllib.parse import urlencode

from app import marks
from app.marks import Bullet
from app.theme import PALETTES, STATUSES, Palette
from metrics.kpi import Status

COUNTED: tuple[Status, ...] = ("on target", "at risk", "off target", "not measured")


@dataclass(frozen=True)
class ScorecardRow:
    """One KPI as a reader sees it; a KPI that is not measured keeps its row, with the reason and the file that fills it."""

    title: str
    href: str
    value_text: str
    unit_text: str
    bullet: Bullet | None
    target_text: str
    change_text: str
    spark: Sequence[float | None]
    open_last: bool
    evidence_text: str
    status: Status
    reason: str = ""
    fills: str = ""
    interval_text: str = ""


def kpi_href(metric_id: str, query: Mapping[str, str]) -> str:
    """The link to a KPI's page that keeps what the reader has filtered by."""
    return "kpis?" + urlencode({"kpi": metric_id, **{name: value for name, value in query.items() if name != "kpi"}})


def block(body: str) -> str:
    """A self-contained piece of HTML: the rules, the colours of both modes, and the body; its own classes only."""
    return f"<style>{_style()}</style><div class='sl'>{body}</div>"


def chip(status: Status, words: str = "") -> str:
    """A status as shape and word; `words` say it in another way than the status itself does."""
    look = STATUSES[status]
    return f"<span class='sl-chip sl-{look.colour}'>{_image(marks.icon(status))}{escape(words or look.word)}</span>"


def status_counts(counts: Mapping[Status, int]) -> str:
    """How many KPIs have which status; those without a target only where there are any."""
    shown = [status for status in (*COUNTED, "none") if status != "none" or counts.get("none")]
    return (
        "<div class='sl-counts'>"
        + "".join(
            f"<span>{_image(marks.icon(status))}<b>{counts.get(status, 0)}</b>{escape(STATUSES[status].word.lower())}</span>"
            for status in shown
        )
        + "</div>"
    )


def scorecard(blocks: Mapping[str, Sequence[ScorecardRow]], change_title: str, spark_title: str = "12 months") -> str:
    """All rows under their block headers, in one piece; below the rows stands how to read them."""
    head = (
        f"<div class='sl-row sl-head sl-quiet'><span>KPI</span><span class='sl-value'>Value</span>"
        f"<span class='sl-bullet'>Against target</span><span class='sl-target'>Target</span>"
        f"<span class='sl-change'>{escape(change_title)}</span><span class='sl-spark'>{escape(spark_title)}</span>"
        f"<span class='sl-evidence'>Evidence</span><span class='sl-state'>Status</span></div>"
    )
    body = "".join(f"<div class='sl-block'>{escape(name)}</div>{''.join(map(_row, rows))}" for name, rows in blocks.items())
    has_open = any(row.open_last for rows in blocks.values() for row in rows)
    key = "Bar and dot: value from zero. Whisker: 95 % interval or assessment range. Tick: target. Shades: worst to best." + (
        " Hollow dot: month still open." if has_open else ""
    )
    return f"<div class='sl-rows'>{head}{body}<div class='sl-key sl-quiet'>{key}</div></div>"


def headline(words: str) -> str:
    """The sentence that a page opens with, below its title."""
    return f"<h2 class='sl-headline'>{escape(words)}</h2>"


def empty(title: str, reason: str, fills: str = "") -> str:
    """What stands in place of something that has no data: the reason, and what would fill it."""
    return (
        f"<div class='sl-empty'><span class='sl-title'>{escape(title)}</span>{chip('not measured')}"
        f"<span class='sl-quiet'>{_why(reason, fills)}</span></div>"
    )


def value_card(row: ScorecardRow, caption: str, qualifier: str = "") -> str:
    """A KPI's answer large: value, interval, bullet with its scale; the qualifier stands beside the chip."""
    top = (
        f"<div class='sl-top'><span class='sl-quiet'>{escape(caption)}</span><span>{chip(row.status)}"
        f"{f' <span class=sl-quiet>{escape(qualifier)}</span>' if qualifier else ''}</span></div>"
    )
    if row.status == "not measured":
        return f"{top}<div class='sl-answer'><span class='sl-quiet'>{_why(row.reason, row.fills)}</span></div>"
    unit = f" {row.unit_text}" if row.unit_text else ""
    answer = f"<div class='sl-answer'><b>{escape(row.value_text + unit)}</b><span class='sl-quiet'>{escape(row.interval_text)}</span></div>"
    graph = f"{_image(marks.bullet(row.bullet, 270), row.interval_text)}" if row.bullet else ""
    return f"{top}{answer}{graph}<div class='sl-scale sl-quiet'><span>Target {escape(row.target_text)}</span></div>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values below each other: where a number comes from."""
    return "<dl class='sl-facts'>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "</dl>"


def findings(title: str, items: Sequence[tuple[str, str]]) -> str:
    """A short list: each item a finding, and below it, quieter, its cause or its owner."""
    lines = "".join(f"<span>{escape(finding)}<span class='sl-quiet'>{escape(detail)}</span></span>" for finding, detail in items)
    return f"<div class='sl-list'><span class='sl-title'>{escape(title)}</span>{lines}</div>"


def check_row(is_fine: bool, title: str, finding: str) -> str:
    """One check of the data: what was asked, and what was found."""
    return (
        f"<div class='sl-check'>{chip('on target', 'Fine') if is_fine else chip('at risk', 'Look')}"
        f"<span>{escape(title)}</span><span class='sl-quiet'>{escape(finding)}</span></div>"
    )


def _row(row: ScorecardRow) -> str:
    opening = f"<a class='sl-row' href='{escape(row.href)}' target='_self'><span>{escape(row.title)}</span>"
    state = f"<span class='sl-state'>{chip(row.status)}</span></a>"
    if row.status == "not measured":
        return f"{opening}<span class='sl-why sl-quiet'>{_why(row.reason, row.fills)}</span>{state}"
    unit = f" <span class='sl-quiet'>{escape(row.unit_text)}</span>" if row.unit_text else ""
    spark = marks.sparkline(row.spark, open_last=row.open_last)
    return (
        f"{opening}<span class='sl-value'><b>{escape(row.value_text)}</b>{unit}</span>"
        f"<span class='sl-bullet'>{_image(marks.bullet(row.bullet), row.interval_text) if row.bullet else ''}</span>"
        f"<span class='sl-target'>{escape(row.target_text)}</span>"
        f"<span class='sl-change sl-quiet'>{escape(row.change_text)}</span>"
        f"<span class='sl-spark'>{_image(spark) if spark else ''}</span>"
        f"<span class='sl-evidence sl-quiet'>{escape(row.evidence_text)}</span>{state}"
    )


def _why(reason: str, fills: str) -> str:
    return escape(reason) + (f" · add <code>{escape(fills)}</code>" if fills else "")


def _image(uri: str, words: str = "") -> str:
    """An image that repeats what the row says in words has an empty alternative text."""
    return f"<img src=\"{uri}\" alt='{escape(words)}'" + (f" title='{escape(words)}'" if words else "") + ">"


@cache
def _style() -> str:
    light, dark = _colours(PALETTES["light"]), _colours(PALETTES["dark"])
    variables = ";".join(f"--sl-{name}:light-dark({light[name]},{dark[name]})" for name in light)
    return f".sl{{{variables}}}\n" + files("app").joinpath("cards.css").read_text("utf-8")


def _colours(palette: Palette) -> dict[str, str]:
    pairs = {name: getattr(palette, name) for name in ("blue", "orange", "red", "gray")}
    return {
        "text": palette.text,
        "muted": palette.muted,
        "accent": palette.accent,
        "border": palette.border,
        "grid": palette.grid,
        "code": palette.code,
        "hover": palette.shades[2] if palette is PALETTES["dark"] else "#F7F8FA",
        **{name: pair.ink for name, pair in pairs.items()},
        **{f"{name}-fill": pair.fill for name, pair in pairs.items()},
    }
