"""Is the ledger fresh and complete: what was refused, what has no price, no owner, no bill or no traces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metrics.engines import Engine


@dataclass(frozen=True)
class Check:
    """One question to the ledger: SQL whose rows are what is wrong, and a sentence about them."""

    id: str
    title: str
    sql: str
    fine: str
    wrong: str  # formatted with n, the number of rows, and the columns of the first
    is_information: bool = False  # says something, and is never wrong


CHECKS = (
    Check("loaded", "Loads", "select count(*) as loads, cast(coalesce(sum(l.rows), 0) as bigint) as row_count, max(l.finished_at) as newest "
          "from loads l where l.status <> 'failed' having count(*) > 0", "nothing loaded yet", "{row_count:,} rows in {loads:,} loads, the newest at {newest:%Y-%m-%d %H:%M} UTC",
          is_information=True),
    Check("span", "Traces", "select count(*) as calls, min(c.started_at) as first_at, max(c.started_at) as last_at from calls c having count(*) > 0",
          "no calls", "{calls:,} calls from {first_at:%Y-%m-%d} to {last_at:%Y-%m-%d %H:%M} UTC", is_information=True),
    Check("duplicates", "Duplicates", "select count(*) as spans from spans s where s.role = 'duplicate' having count(*) > 0",
          "no call was reported twice", "{spans:,} spans repeat a call and are not counted", is_information=True),
    Check("failed", "Failed files", "select l.path as path, l.message as message from loads l left join loads later on later.content_hash = l.content_hash "
          "and later.status <> 'failed' where l.status = 'failed' and later.id is null order by l.finished_at desc",
          "none", "{n:,} not loaded, the newest {path}: {message}"),
    Check("rejects", "Rejected input", "select r.path as path, count(*) as rejected, min(r.reason) as reason from rejects r "
          "join loads l on l.id = r.load_id and l.status <> 'failed' group by 1 order by 2 desc",
          "none", "{n:,} files with rejected rows, most in {path}: {rejected:,}, such as {reason}"),
    Check("unpriced", "Models without a price", "select c.provider as provider, c.model as model, count(*) as calls, "
          "cast(coalesce(sum(c.input_tokens), 0) as bigint) as input_tokens from calls c where c.cost_status = 'unpriced_model' group by 1, 2 order by 4 desc",
          "every model has one", "{n:,}, most tokens {model} ({provider}): {input_tokens:,} input tokens in {calls:,} calls; add it to a price file"),
    Check("usage", "Calls without known usage", "select cast(sum(u.unknown_usage_calls) as bigint) as unknown_calls, "
          "cast(sum(u.calls) as bigint) as calls, sum(u.unknown_usage_calls) * 1e2 / sum(u.calls) as percentage "
          "from usage_hour u having sum(u.unknown_usage_calls) > 0", "none", "{unknown_calls:,} of {calls:,} ({percentage:.2f} %)"),
    Check("unowned_calls", "Calls that no system owns", "select u.service as service, cast(sum(u.calls) as bigint) as calls from usage_hour u "
          "where u.system is null group by 1 order by 2 desc", "none", "{n:,} services, most calls {service}: {calls:,}; name it in service_names of a system"),
    Check("unowned_charges", "Charges that no rule maps", "select c.provider as provider, c.project as project, sum(c.usd_billed_cost) as cost_usd "
          "from ai_charges c where c.system is null group by 1, 2 having sum(c.usd_billed_cost) <> 0 order by 3 desc",
          "none", "{n:,} projects or accounts, the largest {project} ({provider}): ${cost_usd:,.2f}; add an [[attribution]] rule"),
    Check("unmapped", "Billing lines of unknown kind", "select c.provider as provider, c.charge_description as description, sum(c.usd_billed_cost) as cost_usd "
          "from ai_charges c where c.unit_class = 'other' group by 1, 2 order by 3 desc", "none", "{n:,}, the largest {description} ({provider}): ${cost_usd:,.2f}"),
    Check("unbilled", "Traced without a bill", "select cast(date_trunc('month', u.hour) as date) as month, u.provider as provider, cast(sum(u.calls) as bigint) as calls "
          "from usage_hour u left join (select distinct date_trunc('month', c.charge_period_start) as month, c.provider as provider from ai_charges c) b "
          "on b.month = date_trunc('month', u.hour) and b.provider = u.provider where b.month is null and u.provider is not null group by 1, 2 order by 1 desc, 3 desc",
          "every provider and month with calls has charges", "{n:,} months of a provider, the newest {provider} in {month:%Y-%m}: {calls:,} calls"),
    Check("untraced", "Billed without traces", "select cast(date_trunc('month', c.charge_period_start) as date) as month, c.provider as provider, "
          "sum(c.usd_billed_cost) as cost_usd from ai_charges c left join (select distinct date_trunc('month', u.hour) as month, u.provider as provider from usage_hour u) t "
          "on t.month = date_trunc('month', c.charge_period_start) and t.provider = c.provider where t.month is null group by 1, 2 order by 1 desc, 3 desc",
          "every provider and month with charges has calls", "{n:,} months of a provider, the newest {provider} in {month:%Y-%m}: ${cost_usd:,.2f}"),
    Check("rollup", "Rollups", "select c.calls as calls, u.calls as counted from (select count(*) as calls from calls) c "
          "cross join (select cast(coalesce(sum(calls), 0) as bigint) as calls from usage_hour) u where c.calls <> u.calls",
          "equal to the calls", "{counted:,} calls in the rollup, {calls:,} in the ledger; run spanledger rebuild"),
)


def checks(engine: Engine) -> list[dict[str, Any]]:
    """Every check with `id`, `ok`, `title` and `finding`."""
    return [_run(engine, check) for check in CHECKS]


def _run(engine: Engine, check: Check) -> dict[str, Any]:
    rows = engine.query(check.sql).to_dicts()
    finding = check.wrong.format(n=len(rows), **_named(rows)) if rows else check.fine
    return {"id": check.id, "ok": check.is_information or finding == check.fine, "title": check.title, "finding": finding}


def _named(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: "unknown" if value is None else value for name, value in rows[0].items()}
