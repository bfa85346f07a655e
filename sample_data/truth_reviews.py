"""What the sample's reviews and surveys come to: days to sign-off, first-round passes, and the mean answer."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from sample_data.governance import INITIATIVES, rows_of
from sample_data.incidents import kaplan_meier_median, plain_median
from sample_data.plans import HOLIDAYS
from sample_data.records import REGISTER
from sample_data.reviews import REVIEWS, surveys

FREE_DAYS = {row["date"] for row in rows_of(HOLIDAYS)}
SYSTEM_OF = {row["initiative_id"]: row["system_id"] for row in rows_of(INITIATIVES)}
SURVEY_ENDS = {"2026-Q1": "2026-04-01", "2026-Q2": "2026-07-01", "2026-Q3": "2026-10-01"}


def time_to_signoff(start: str, end: str) -> dict[str, Any]:
    """Business days from round 1 to the first final decision; what was open at the end, or withdrawn, is censored."""
    events: list[float] = []
    censored: list[float] = []
    rows = [row for row in rows_of(REVIEWS) if row["type"] == "architecture"]
    for first in rows:
        if first["round"] != "1" or not start <= first["submitted_at"] < end:
            continue
        rounds = [row for row in rows if row["subject_id"] == first["subject_id"] and row["decided_at"] and row["decided_at"] < end]
        final = [row["decided_at"] for row in rounds if row["outcome"] in ("approved", "conditions_minor", "rejected")]
        withdrawn = [row["decided_at"] for row in rounds if row["outcome"] == "withdrawn"]
        last_day = (date.fromisoformat(end) - timedelta(days=1)).isoformat()
        days = _business_days(first["submitted_at"], min(final or withdrawn, default=last_day))
        (events if final else censored).append(days)
    return {
        "value": kaplan_meier_median(events, censored) if censored and len(events) + len(censored) >= 5 else plain_median(events),
        "n": len(events) + len(censored),
        "days": sorted(events),
        "censored_days": sorted(censored),
    }


def review_pass_rate(start: str, end: str) -> dict[str, Any]:
    """Designs by their first rounds; privacy is required unless the system has no personal data."""
    subjects: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in rows_of(REVIEWS):
        if row["type"] != "architecture" and row["round"] == "1" and row["submitted_at"] < end:
            subjects.setdefault(row["subject_id"], {})[row["type"]] = row
    passed: list[str] = []
    failed: list[str] = []
    pending: list[str] = []
    withdrawn: list[str] = []
    for subject, found in sorted(subjects.items()):
        facts = REGISTER.get(SYSTEM_OF.get(subject, subject))
        required = ("security",) if facts and facts[3] == "no" else ("security", "privacy")
        rows = [found[kind] for kind in required if kind in found]
        decided = [row["decided_at"] for row in rows if row["decided_at"] and row["decided_at"] < end]
        if len(decided) < len(rows):
            pending.append(subject)
        elif start <= max(decided):
            outcomes = [row["outcome"] for row in rows]
            is_passed = len(rows) == len(required) and set(outcomes) <= {"approved", "conditions_minor"}
            (withdrawn if "withdrawn" in outcomes else passed if is_passed else failed).append(subject)
    n = len(passed) + len(failed)
    return {
        "value": len(passed) / n,
        "numerator": len(passed),
        "denominator": n,
        "missed": failed,
        "pending": pending,
        "withdrawn": withdrawn,
    }


def satisfaction(end: str) -> dict[str, Any]:
    """The latest survey that had ended, answers brought to a scale from 1 to 5."""
    period = max(name for name, ended in SURVEY_ENDS.items() if ended <= end)
    answers = [row for row in rows_of(surveys()) if row["period"] == period]
    scores = [_on_five(row) for row in answers]
    return {
        "value": float(sum(scores) / len(scores)),
        "n": len(scores),
        "invited": int(answers[0]["invited_n"]),
        "satisfied": sum(score >= 4 for score in scores),
        "period": period,
    }


def _on_five(row: Mapping[str, str]) -> Fraction:
    low, high = int(row["scale_min"]), int(row["scale_max"])
    return 1 + Fraction(4 * (int(row["score"]) - low), high - low)


def _business_days(start: str, end: str) -> float:
    """Days after the first up to the last that are neither weekend nor holiday."""
    first, last = date.fromisoformat(start[:10]), date.fromisoformat(end[:10])
    days: Sequence[date] = [first + timedelta(days=n + 1) for n in range((last - first).days)]
    return float(sum(day.weekday() < 5 and day.isoformat() not in FREE_DAYS for day in days))
