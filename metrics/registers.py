"""Registers as they held at the end of a period, and to which system and team a row belongs."""

from typing import Any

from metrics.filters import UNATTRIBUTED, Scope

DIMENSIONS = ("system", "team")

# Rows of these are versions with valid_from and valid_to; what holds at the end of a window never changes afterwards.
REGISTERS = ("systems", "inventory_items", "patterns", "initiatives", "capabilities", "targets", "objectives", "budgets", "risks")


def valid(alias: str) -> str:
    """SQL for the versions that held at `$end`."""
    return f"{alias}.valid_from < $end and ({alias}.valid_to is null or $end <= {alias}.valid_to)"


def about(scope: Scope, prefix: str = "") -> tuple[str, dict[str, Any]]:
    """A condition over the columns `system` and `team` without one over time, and its parameters."""
    terms, params = ["1 = 1"], {}
    for name in DIMENSIONS:
        value = scope.dimensions.get(name)
        if value == UNATTRIBUTED:
            terms.append(f"{prefix}{name} is null")
        elif value is not None:
            terms.append(f"{prefix}{name} = ${name}")
            params[name] = value
    return " and ".join(terms), params


# A review is of an initiative or of a system itself: `r.subject_id` leads to the register's row `s`, if there is one.
SYSTEM_OF_SUBJECT = f"""
left join initiatives i on i.initiative_id = r.subject_id and {valid("i")}
left join systems s on s.system_id = coalesce(i.system_id, r.subject_id) and {valid("s")}
"""
