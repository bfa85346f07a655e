"""Who used it: rules from span attributes, services and billing keys to system, team, feature, tenant, cost centre."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import duckdb

DIMENSIONS = ("system", "team", "feature", "tenant", "cost_center", "project", "environment")
# What a rule may look at, on spans and on charges; the value may hold `*`.
SPAN_KEYS = ("service", "scope")
CHARGE_KEYS = ("provider", "project", "account", "sub_account", "api_key")


@dataclass(frozen=True)
class Rule:
    """One rule: every condition of `when` must hold, then `set` names the dimensions.

    `when` holds SPAN_KEYS, CHARGE_KEYS, `attributes` (span attribute -> value) or `tags` (billing tag -> value).
    """

    when: Mapping[str, Any]
    set: Mapping[str, str]

    def matches_span(self, service: str | None, scope: str | None, attributes: Mapping[str, Any]) -> bool:
        facts = {"service": service, "scope": scope}
        return all(
            _all_match(wanted, attributes) if key == "attributes" else key in facts and _match(facts[key], wanted)
            for key, wanted in self.when.items()
        )

    def matches_charge(self, facts: Mapping[str, str | None], tags: Mapping[str, Any]) -> bool:
        return all(
            _all_match(wanted, tags) if key == "tags" else key in CHARGE_KEYS and _match(facts.get(key), wanted)
            for key, wanted in self.when.items()
        )


def _match(value: Any, wanted: str) -> bool:
    return value is not None and fnmatchcase(str(value), wanted)


def _all_match(wanted: Mapping[str, str], values: Mapping[str, Any]) -> bool:
    return all(_match(values.get(key), pattern) for key, pattern in wanted.items())


@dataclass(frozen=True)
class Attribution:
    """All rules, first match per dimension wins; `keys` names attributes that hold a dimension's value themselves."""

    rules: Sequence[Rule] = ()
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def attribute_keys(self) -> frozenset[str]:
        """The span attributes that rules look at, which the allow-list therefore has to keep."""
        in_rules = {key for rule in self.rules for key in rule.when.get("attributes", {})}
        return frozenset(in_rules | {key for keys in self.keys.values() for key in keys})

    def of_span(self, service: str | None, scope: str | None, attributes: Mapping[str, Any]) -> dict[str, str]:
        """The dimensions that rules and named attributes give a span."""
        known = self._by_service.get((service, scope))
        if known is None:
            known = self._of_rules(service, scope, attributes)
            if not any("attributes" in rule.when for rule in self._span_rules):  # then every span of the service gets the same
                self._by_service[service, scope] = known
        found = dict(known)
        for dimension, keys in self.keys.items():
            value = next((attributes[key] for key in keys if attributes.get(key) not in (None, "")), None)
            if value is not None:
                found.setdefault(dimension, str(value))
        return found

    def _of_rules(self, service: str | None, scope: str | None, attributes: Mapping[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for rule in self._span_rules:
            if rule.matches_span(service, scope, attributes):
                found = {**rule.set, **found}
        return found

    @cached_property
    def _span_rules(self) -> Sequence[Rule]:
        """The rules that can match a span at all; those that look at billing keys cannot."""
        return [rule for rule in self.rules if set(rule.when) <= {*SPAN_KEYS, "attributes"}]

    @cached_property
    def _by_service(self) -> dict[tuple[str | None, str | None], dict[str, str]]:
        return {}

    def of_charge(self, facts: Mapping[str, str | None], tags: Mapping[str, Any]) -> dict[str, str]:
        """The dimensions that rules give a billing line."""
        found: dict[str, str] = {}
        for rule in self.rules:
            if rule.matches_charge(facts, tags):
                found = {**rule.set, **found}
        return found


class Services:
    """The register of systems as a look-up: which system a service belonged to at a time."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._versions: dict[str | None, list[tuple[int, int, dict[str, str]]]] = {}
        rows = cursor.execute("""
            select unnest(s.service_names), epoch_us(s.valid_from), epoch_us(coalesce(s.valid_to, timestamp '9999-01-01')),
                   s.system_id, s.team, s.cost_center
            from systems s where s.service_names is not null order by s.valid_from, s.system_id""").fetchall()
        for service, start, end, system, team, cost_center in rows:
            known = {"system": system, "team": team, "cost_center": cost_center}
            self._versions.setdefault(service, []).append((start, end, {k: v for k, v in known.items() if v is not None}))
        self._teams = {
            system: known["team"]
            for versions in self._versions.values()
            for *_, known in versions
            if "team" in known
            for system in [known["system"]]
        }

    def of(self, service: str | None, at_us: int) -> Mapping[str, str]:
        """System, team and cost centre of a service at a time; empty when no register names it."""
        for start_us, end_us, known in self._versions.get(service, ()):
            if start_us <= at_us < end_us:
                return known
        return {}

    def team_of(self, system: str) -> str | None:
        """The team of a system that a rule named, as the register has it last."""
        return self._teams.get(system)
