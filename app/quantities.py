"""How a quantity reads: money, counts, shares, durations, intervals, dates, targets and changes; unknown is a dash."""

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

Amount = float | int | Decimal

UNKNOWN = "—"
MINUS = "−"
NB = "\u00a0"  # a number and its unit never part at the end of a line


def money(usd: Amount | None, *, signed: bool = False) -> str:
    """Money in a headline: whole dollars from $100, cents below, two significant digits below a cent."""
    if usd is None:
        return UNKNOWN
    return "$0" if usd == 0 else _dollars(usd, 0 if round(abs(float(usd)), 2) >= 100 else 2, signed)


def money_cents(usd: Amount | None, *, signed: bool = False) -> str:
    """Money in a table or a reconciliation: always to the cent, and finer only where cents would say zero."""
    return UNKNOWN if usd is None else _dollars(usd, 2, signed)


def count(number: int | None) -> str:
    """A count: exact below 10,000, else three significant digits with k, M or B."""
    if number is None:
        return UNKNOWN
    if abs(number) < 10_000:
        return _number(number, 0)
    magnitude = float(f"{number:.2e}")  # rounded first, so that 999,999 becomes 1 M and not 1,000 k
    scale, suffix = next((scale, suffix) for scale, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if abs(magnitude) >= scale)
    scaled = magnitude / scale
    digits = _number(scaled, 0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2)
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + NB + suffix


def percent(share: float | None, *, signed: bool = False) -> str:
    """A share in per cent: one decimal, two below 1 %; never 0 % for more than nothing nor 100 % for less than all."""
    if share is None:
        return UNKNOWN
    value = round(share, 12) * 100
    if value == 0:
        return f"0{NB}%"
    if not signed and 99.95 <= value <= 100:
        return f"100{NB}%" if value == 100 else f">99.9{NB}%"
    return _fine(value, signed, 1 if round(abs(value), 2) >= 1 else 2) + f"{NB}%"


def points(difference: float | None, *, signed: bool = False) -> str:
    """The difference of two shares in percentage points."""
    if difference is None:
        return UNKNOWN
    value = round(difference, 12) * 100
    return (_fine(value, signed, 1 if round(abs(value), 2) >= 0.1 else 2) if value else "0") + f"{NB}pp"


def duration(hours: float | None) -> str:
    """A duration in the units that people say it in: 42 s, 38 min, 2 h 48 min, 31 h, 3 d 4 h."""
    if hours is None:
        return UNKNOWN
    seconds = round(abs(hours) * 3600)
    minutes = round(seconds / 60)
    sign = MINUS if hours < 0 and seconds else ""
    if 0 < seconds < 60:
        return f"{sign}{seconds}{NB}s"
    if minutes < 120:
        return f"{sign}{minutes}{NB}min"
    if minutes < 24 * 60:
        return sign + _two_units(minutes, 60, "h", "min")
    whole_hours = round(minutes / 60)
    return f"{sign}{whole_hours}{NB}h" if whole_hours < 48 else sign + _two_units(whole_hours, 24, "d", "h")


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Both ends of an interval, the unit once where both share it: 2.5 to 3.8 %."""
    if low is None or high is None:
        return UNKNOWN
    first, last = quantity(low, unit), quantity(high, unit)
    (number, first_unit), last_unit = _split(first), _split(last)[1]
    return f"{number if first_unit.removesuffix('s') == last_unit.removesuffix('s') else first} to {last}"


def quantity(value: float | None, unit: str) -> str:
    """A KPI's value in its own unit, as one text."""
    return UNKNOWN if value is None else _FORMATS[unit](value)


def format_value(value: float | None, unit: str) -> tuple[str, str]:
    """A KPI's value as number and unit apart, so that the unit can be set quieter; no unit where it is in the number."""
    return _split(quantity(value, unit))


def target_words(target: float | str | None, direction: str | None, unit: str) -> str:
    """A target with its sign, at_least or at_most: ≥ 70 %, ≤ 10 days; `improve` says which way is better."""
    if target is None:
        return "no target"
    if isinstance(target, str):
        return "downward" if direction == "at_most" else "upward"
    bare = re.sub(r"\.0+(?=\D|$)", "", quantity(target, unit))
    return f"{'≤' if direction == 'at_most' else '≥'}{NB}{bare}"


def change_words(before: float | None, after: float | None, unit: str, *, is_supported: bool) -> str:
    """What a value did since the period before, in words; "rose" and "fell" only where the evidence supports it."""
    if before is None or after is None:
        return ""
    if before == after:
        return "no change"
    if not is_supported:
        return "no clear change"
    verb = "rose" if after > before else "fell"
    if unit == "share":
        return f"{verb} {_rounded(points(abs(after - before)))}"
    return f"{verb} {_rounded(percent(abs(after - before) / abs(before)))}" if before else f"{verb} from 0"


def day(when: date) -> str:
    return f"{when.day} {when:%b}"


def day_of_year(when: date) -> str:
    return f"{when.day} {when:%b %Y}"


def days(start: date, end: date) -> str:
    """The days from `start` up to but without `end`: 1–21 Sep 2026."""
    last = end - timedelta(days=1)
    if (start.year, start.month, start.day) == (last.year, last.month, last.day):
        return day_of_year(start)
    if start.year != last.year:
        return f"{day_of_year(start)} – {day_of_year(last)}"
    if start.month != last.month:
        return f"{day(start)} – {day_of_year(last)}"
    return f"{start.day}–{day_of_year(last)}"


def moment(when: datetime) -> str:
    """A point in time: 24 Sep 2026, 06:10 UTC."""
    return f"{day_of_year(when)}, {when:%H:%M} UTC"


def _dollars(usd: Amount, decimals: int, signed: bool) -> str:
    size = abs(float(usd))
    if 0 < size < 1e-6:
        return "<$0.000001" if usd > 0 else f">{MINUS}$0.000001"
    if 0 < size < 0.01:
        decimals = 1 - math.floor(math.log10(size))
    digits = f"{abs(usd):,.{decimals}f}"
    return _sign(usd, digits, signed) + "$" + digits


def _number(value: Amount, decimals: int, signed: bool = False) -> str:
    digits = f"{abs(value):,.{decimals}f}"
    return _sign(value, digits, signed) + digits


def _sign(value: Amount, digits: str, signed: bool) -> str:
    if not digits.strip("0.,"):
        return ""
    return MINUS if value < 0 else "+" if signed else ""


def _fine(value: float, signed: bool, decimals: int) -> str:
    if abs(value) < 0.005:
        return "<0.01" if value > 0 else f">{MINUS}0.01"
    return _number(value, decimals, signed)


def _two_units(amount: int, per: int, large: str, small: str) -> str:
    whole, rest = divmod(amount, per)
    return f"{whole}{NB}{large}" + (f"{NB}{rest}{NB}{small}" if rest else "")


def _plain(value: float) -> str:
    """A ratio or a score: two decimals, two significant digits below 0.01, none from 100."""
    if value == 0:
        return "0"
    size = abs(value)
    return _number(value, 0 if size >= 99.995 else 2 if size >= 0.01 else min(1 - math.floor(math.log10(size)), 12))


def _business_days(value: float) -> str:
    digits = _number(value, 0 if value == round(value) else 1)
    return f"{digits}{NB}{'day' if digits == '1' else 'days'}"


def _rounded(text: str) -> str:
    """Without decimals from 10 on: a change is a size, not a measurement."""
    number, unit = _split(text)
    value = float(number.replace(",", "")) if number[0].isdigit() else 0
    return f"{value:,.0f}{NB}{unit}" if value >= 10 else text


def _split(text: str) -> tuple[str, str]:
    """A text of one number and one unit as both; anything else stays whole."""
    number, separator, unit = text.partition(NB)
    return (number, unit) if separator and NB not in unit else (text, "")


_FORMATS: dict[str, Callable[[float], str]] = {
    "share": percent,
    "hours": duration,
    "days": _business_days,
    "usd": money,
    "per_million": _plain,
    "score": _plain,
}
