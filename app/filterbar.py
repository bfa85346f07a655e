"""The one filter bar: title, period and dimensions, bound to the URL, so that a link opens the same view."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import streamlit as st

from app.session import CachedEngine
from metrics import filters
from metrics.filters import DIMENSIONS, UNATTRIBUTED, Period, Scope

RANGE = "Range of days"
KEPT, DRAWN = "kept_filters", "drawn_page"  # what the session remembers of the page before
IN_THE_BAR = ("system",)
MOST_WEEKS = 13
TITLES = {"system": "systems", "team": "teams", "provider": "providers", "model": "models", "environment": "environments"}


@dataclass(frozen=True)
class Choice:
    """A selection of one page's own in the toolbar; its label is what the URL holds."""

    name: str
    options: Sequence[str]
    width: int


def toolbar(title: str, engine: CachedEngine, own: Sequence[Choice] = ()) -> Scope | None:
    """Draw the toolbar of a page; None while the ledger is empty.

    Stops the page with a message when the link asks for something that the ledger does not have: dropping it silently
    would show the whole company under the name of one team.
    """
    default = filters.default_period(engine)
    if default is None:
        st.title(title)
        return None
    periods = _periods(engine, default)
    choices = _choices(engine)
    _refuse_unknown_days()
    _carry_over(title)
    _refuse_unknown(
        {
            "period": {*periods, RANGE},
            **{name: set(labels) for name, labels in choices.items()},
            **{choice.name: set(choice.options) for choice in own},
        }
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, width="stretch")
        for choice in own:
            st.selectbox(
                choice.name.capitalize(),
                choice.options,
                key=choice.name,
                bind="query-params",
                persist_state="session",
                label_visibility="collapsed",
                width=choice.width,
            )
        chosen = {name: _select(name, choices[name]) for name in IN_THE_BAR}
        label = st.selectbox(
            "Period",
            [*periods, RANGE],
            index=list(periods).index(_label(default)),
            key="period",
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
            width=156,
        )
        others = [name for name in DIMENSIONS if name not in IN_THE_BAR]
        active = sum(st.session_state.get(name) not in (None, _all(name)) for name in others)
        with st.popover(f"Filters · {active}" if active else "Filters", icon=":material/filter_list:"):
            chosen |= {name: _select(name, choices[name], visible=True) for name in others}
    period = _range(default) if label == RANGE else periods[label]
    st.session_state[KEPT] = {name: st.session_state.get(name) for name in ("period", *DIMENSIONS, *(["range"] if label == RANGE else []))}
    return Scope(period, {name: value for name, value in chosen.items() if value is not None})


def _label(period: Period) -> str:
    return (
        f"{period.start:%B %Y}"
        if period.label.count("-") == 1 and "Q" not in period.label
        else f"Q{(period.start.month + 2) // 3} {period.start.year}"
    )


def _periods(engine: CachedEngine, default: Period) -> dict[str, Period]:
    months = filters.months(engine)
    quarters = [Period.parse(f"{month.start.year}-Q{month.start.month // 3}") for month in months if month.start.month % 3 == 0]
    found = {_label(period): period for period in [*months, *quarters, *([] if default in months else [default])]}
    return found | {"Week {1} of {0}".format(*week.start.isocalendar()): week for week in filters.weeks(months, MOST_WEEKS)}


def _choices(engine: CachedEngine) -> dict[str, dict[str, str | None]]:
    """Per dimension: the label that is shown and linked, and the value behind it."""
    names = filters.system_names(engine)
    repeated = {name for name, count in Counter(names.values()).items() if count > 1}
    found: dict[str, dict[str, str | None]] = {}
    for dimension, values in filters.values(engine).items():
        labels: dict[str, str | None] = {_all(dimension): None}
        for value in values:
            name = names.get(value, value) if dimension == "system" else value
            labels["Unattributed" if value == UNATTRIBUTED else f"{name} ({value})" if name in repeated else name] = value
        found[dimension] = labels
    return found


def _all(dimension: str) -> str:
    return f"All {TITLES[dimension]}"


def _select(dimension: str, labels: dict[str, str | None], visible: bool = False) -> str | None:
    label = st.selectbox(
        dimension.capitalize(),
        list(labels),
        key=dimension,
        bind="query-params",
        persist_state="session",
        label_visibility="visible" if visible else "collapsed",
        width="stretch" if visible else 168,
    )
    return labels[label]


def _carry_over(title: str) -> None:
    """Filters that came with a link to one page hold on the next one, too, unless its own link says otherwise."""
    if st.session_state.get(DRAWN) not in (None, title):
        for name, value in st.session_state.get(KEPT, {}).items():
            if name not in st.query_params and value is not None:
                st.session_state[name] = value
    st.session_state[DRAWN] = title


def _refuse_unknown_days() -> None:
    for asked in st.query_params.get_all("range"):
        try:
            date.fromisoformat(asked[:10])
        except ValueError:
            st.error(f"This link asks for the days “{asked}”, which are no dates. Write them as 2026-09-01.")
            st.stop()


def _refuse_unknown(known: Mapping[str, Set[str]]) -> None:
    for name, asked in st.query_params.items():
        if name in known and asked not in known[name]:
            st.error(f"This link asks for the {name} “{asked}”, which this ledger does not have. It has: {', '.join(sorted(known[name]))}.")
            st.stop()


def _range(default: Period) -> Period:
    last = default.end - timedelta(days=1)
    days = st.date_input(
        "Days", value=(default.start.date(), last.date()), key="range", bind="query-params", persist_state="session", width=240
    )
    if not isinstance(days, tuple) or len(days) != 2:
        st.info("Choose the first and the last day.")
        st.stop()
    return Period(_midnight(days[0]), _midnight(days[1]) + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
