"""Changes that need no statistics: a new model behind the same name, a new prompt version, an unseen finish reason."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from metrics.drift import PRODUCTION, REFERENCE_DAYS
from metrics.engines import Engine
from metrics.filters import Scope

Kind = Literal["response_model", "prompt_version", "finish_reason"]

# The first day of each value, with the first day of its group: the system, and for models the name that was asked for.
FIRST_SEEN = {
    "response_model": """
select c.system as system, c.request_model as subject, c.response_model as value, cast(min(c.started_at) as date) as day
from calls c where c.started_at < $end and c.system is not null and c.request_model is not null and c.response_model is not null
  and c.environment in ('production', 'prod', 'default') and {where} group by 1, 2, 3 order by 4, 3""",
    "prompt_version": f"""
select s.system as system, '' as subject, s.prompt_version as value, min(s.day) as day
from signal_day s where s.day < $end and s.system is not null and s.prompt_version is not null and s.signal = 'error'
  and {PRODUCTION} and {{where}} group by 1, 2, 3 order by 4, 3""",
    "finish_reason": f"""
select s.system as system, '' as subject, s.bin as value, min(s.day) as day
from signal_day s where s.day < $end and s.system is not null and s.signal = 'finish_reason'
  and {PRODUCTION} and {{where}} group by 1, 2, 3 order by 4, 3""",
}


@dataclass(frozen=True)
class ChangeEvent:
    """Something that a system did for the first time on a day; `before` is what it did until then."""

    day: date
    system: str
    kind: Kind
    value: str
    before: str
    subject: str = ""  # the model that was asked for

    @property
    def words(self) -> str:
        match self.kind:
            case "response_model":
                return f"{self.subject} is now answered by {self.value}, before by {self.before}"
            case "prompt_version":
                return f"prompt version {self.value} after {self.before}"
            case _:
                return f"finish reason {self.value}, never seen before"


def change_events(engine: Engine, scope: Scope) -> list[ChangeEvent]:
    """The changes of a period, in order of their days. What a system does from its start is no change."""
    found = [event for kind in FIRST_SEEN for event in _of(engine, scope, kind)]
    return sorted(found, key=lambda event: (event.day, event.system, event.kind, event.value))


def _of(engine: Engine, scope: Scope, kind: str) -> list[ChangeEvent]:
    system = scope.dimensions.get("system")
    column = "c.system" if kind == "response_model" else "s.system"
    where, params = (f"{column} = $system", {"system": system}) if system else ("1 = 1", {})
    rows = engine.query(FIRST_SEEN[kind].format(where=where), {**params, "end": scope.period.end}).rows()
    first: dict[tuple[str, str], tuple[str, date]] = {}
    before: dict[tuple[str, str], str] = {}
    found = []
    for name, subject, value, day in rows:
        group = (name, subject)
        _, start = first.setdefault(group, (value, day))
        # A rare finish reason may take weeks to show for the first time; only after the reference days is it news.
        is_news = day > start if kind != "finish_reason" else day >= start + timedelta(REFERENCE_DAYS)
        if is_news and scope.period.start.date() <= day:
            found.append(ChangeEvent(day, name, _KINDS[kind], value, before.get(group, ""), subject))
        before[group] = value
    return found


_KINDS: dict[str, Kind] = {"response_model": "response_model", "prompt_version": "prompt_version", "finish_reason": "finish_reason"}
