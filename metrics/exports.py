"""Which days a provider's exports cover, and which are too fresh to be final; an empty day of an export is not a missing one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from metrics.engines import Engine

LAG = timedelta(days=2)  # how long a provider goes on booking usage of a day

# Every day with a line, and every window that a file said it covers although a day of it had none.
LINES = """
select c.provider as provider, c.source as source, cast(c.charge_period_start as date) as first_day,
       cast(c.charge_period_end as date) as end_day, max(l.finished_at) as loaded_at
from charges c join loads l on l.id = c.load_id group by 1, 2, 3, 4
union all
select u.provider as provider, u.source as source, cast(u.bucket_start as date) as first_day,
       cast(u.bucket_end as date) as end_day, max(l.finished_at) as loaded_at
from reported_usage u join loads l on l.id = u.load_id group by 1, 2, 3, 4
"""
WINDOWS = """
select l.source as source,
       cast(coalesce(l.slice ->> 'charge_period_start_from', l.slice ->> 'bucket_start_from') as timestamp) as first_at,
       cast(coalesce(l.slice ->> 'charge_period_end_to', l.slice ->> 'bucket_end_to') as timestamp) as end_at
from loads l where l.slice is not null and l.status <> 'failed'
"""


@dataclass(frozen=True)
class Exports:
    """Covered days by provider, and when the newest export of each was loaded."""

    days: Mapping[str, Sequence[tuple[date, date]]]  # first day and the day after the last
    loaded_at: Mapping[str, datetime]

    def covers(self, provider: str, day: date) -> bool:
        return any(first <= day < end for first, end in self.days.get(provider, ()))

    def is_open(self, provider: str, day: date) -> bool:
        """Whether the day was younger than the provider's lag when its newest export was loaded."""
        loaded = self.loaded_at.get(provider)
        return loaded is not None and datetime(day.year, day.month, day.day) + timedelta(days=1) + LAG > loaded


def exports(engine: Engine) -> Exports:
    """What the ledger's bills and usage reports cover."""
    days: dict[str, set[tuple[date, date]]] = defaultdict(set)
    loaded: dict[str, datetime] = {}
    providers: dict[str, set[str]] = defaultdict(set)
    for provider, source, first, end, loaded_at in engine.query(LINES).rows():
        days[provider].add((first, max(end, first + timedelta(days=1))))
        loaded[provider] = max(loaded.get(provider, loaded_at), loaded_at)
        providers[source].add(provider)
    for source, first_at, end_at in engine.query(WINDOWS).rows():
        if first_at is not None and end_at is not None:
            for provider in providers[source]:
                days[provider].add((first_at.date(), end_at.date()))
    return Exports({provider: sorted(found) for provider, found in days.items()}, loaded)
