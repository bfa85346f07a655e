"""KPI 12, model inventory completeness: items in production that are registered in full and reviewed in time."""

from collections import Counter

from metrics import census, inventory
from metrics.census import counted
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Kpi, Measurement, State
from metrics.registers import DIMENSIONS

FINDINGS = {  # of one item, and of several
    "not registered": ("not registered", "not registered"),
    "retired, still in use": ("retired, still in use", "retired, still in use"),
    "review expired": ("review expired", "reviews expired"),
    "never reviewed": ("never reviewed", "never reviewed"),
    "fields missing": ("with fields missing", "with fields missing"),
    "tier unknown": ("of a system without a known tier", "of systems without a known tier"),
    "reviewed only later": ("reviewed only later", "reviewed only later"),
}


def inventory_completeness(engine: Engine, scope: Scope) -> Measurement:
    """Complete items over all that are registered for production or seen in traces and bills of the window."""
    found, evidence = inventory.items(engine, scope)
    if found.is_empty():
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note="No production items registered or seen", evidence=evidence)
    findings = Counter(found["finding"])
    traced, billed = inventory.seen_in_traces(found).height, inventory.seen_in_bills(found).height
    expected = inventory.expected(found)
    notes = [
        *(counted(findings[name], *words) for name, words in FINDINGS.items()),
        f"{traced} seen in traces, {billed} in bills" if traced or billed else "no traces or bills to compare with",
        f"{expected:.1f} models to expect (Chapman)" if expected is not None else "",
    ]
    state: State | None = None if traced or billed else "PARTIAL"
    return census.share(found["verdict"].to_list(), notes, evidence=evidence, state=state, seen=traced + billed)


def seen_without_register(engine: Engine, scope: Scope) -> str:
    """What is known before there is a register: how many items are in use."""
    found, _ = inventory.items(engine, scope)
    return f"No inventory loaded; {counted(found.height, 'item', 'items')} seen in traces and bills" if found.height else NO_DATA


NO_DATA = "No inventory loaded"
KPIS = (
    Kpi(
        id="inventory_completeness",
        number=12,
        title="Model inventory completeness",
        block="Governance and trust",
        unit="share",
        better="higher",
        needs=("inventory_items",),
        no_data=NO_DATA,
        without=seen_without_register,
        fills="models.csv",
        definition="Models, prompts and endpoints in production with every required field and an unexpired review (365 days, 180 for "
        "tier 1, unless the settings say otherwise), of all that are registered at the end of the window or seen in its traces and bills. "
        "What is in use and not registered, or retired and still in use, is incomplete.",
        dimensions=DIMENSIONS,
        measure=inventory_completeness,
        is_changed=census.is_changed,
    ),
)
