"""The governance records that a company keeps beside its traces and bills, as CSV files with the ledger's keys."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from sample_data.calls import Request, moment
from sample_data.company import SEED, SYSTEMS, System
from sample_data.governance import REGISTERS
from sample_data.incidents import HEADER as INCIDENT_HEADER
from sample_data.incidents import INCIDENTS
from sample_data.plans import PLANS
from sample_data.reviews import records

# Per system: business unit, cost centre, intended purpose, personal data, EU AI Act class, what it depends on, start, in service, review.
REGISTER = {
    "contact-centre-assist": (
        "Service",
        "CC-4100",
        "Suggests answers to agents on the phone",
        "yes",
        "limited",
        "crm;policy-search",
        "2025-02-03",
        "2025-06-16",
        "2026-05-12",
    ),
    "claims-copilot": (
        "Claims",
        "CC-5200",
        "Summarises claim files for clerks",
        "yes",
        "high",
        "document-intake",
        "2025-05-05",
        "2025-11-03",
        "2026-06-22",
    ),
    "underwriting-notes": (
        "Underwriting",
        "CC-5300",
        "Drafts underwriting notes",
        "yes",
        "high",
        "risk-tables",
        "2025-09-01",
        "2026-03-02",
        "2026-02-17",
    ),
    "policy-search": (
        "Service",
        "CC-4200",
        "Answers questions about policy terms",
        "no",
        "limited",
        "policy-index",
        "2025-01-13",
        "2025-04-28",
        "2025-10-06",
    ),
    "document-intake": (
        "Operations",
        "CC-6100",
        "Reads and sorts incoming mail",
        "yes",
        "limited",
        "mailroom",
        "2024-10-07",
        "2025-03-10",
        "2026-01-20",
    ),
    "marketing-drafts": ("Sales", "CC-7100", "Drafts newsletters", "no", "minimal", "", "2026-01-12", "2026-04-20", "2026-04-13"),
}
# Metric, scope, target, direction, amber margin, valid from, set by.
TARGETS = (
    ("reference_architecture_adoption", "", "0.7", "at_least", "0.1", "2026-01-01", "Architecture board"),
    ("time_to_signoff", "", "10", "at_most", "2", "2026-01-01", "Architecture board"),
    ("production_readiness", "", "0.9", "at_least", "0.05", "2026-01-01", "Architecture board"),
    ("incident_rate", "", "improve", "at_most", "", "2026-01-01", "Head of Operations"),
    ("time_to_mitigate", "", "4", "at_most", "1", "2026-01-01", "Head of Operations"),
    ("unit_cost", "", "42", "at_most", "2", "2026-01-01", "FinOps"),
    ("unit_cost", "", "36", "at_most", "2", "2026-09-01", "FinOps"),
    ("unit_cost", "system=claims-copilot", "100", "at_most", "10", "2026-01-01", "FinOps"),
    ("cache_hit_rate", "", "0.3", "at_least", "0.03", "2026-01-01", "FinOps"),
    ("retrieval_precision", "", "0.7", "at_least", "0.05", "2026-01-01", "Knowledge"),
    ("unsupported_claim_rate", "", "0.05", "at_most", "0.01", "2026-01-01", "Model risk"),
    ("safety_violation_rate", "", "0.01", "at_most", "0.005", "2026-01-01", "Model risk"),
    ("drift_coverage", "", "0.8", "at_least", "0.05", "2026-01-01", "Model risk"),
    ("inventory_completeness", "", "0.95", "at_least", "0.05", "2026-01-01", "Model risk"),
    ("adr_completeness", "", "0.9", "at_least", "0.05", "2026-01-01", "Architecture board"),
    ("stakeholder_satisfaction", "", "4.2", "at_least", "0.2", "2026-01-01", "CIO office"),
    ("review_pass_rate", "", "0.8", "at_least", "0.05", "2026-01-01", "Security"),
    ("platform_reuse", "", "improve", "at_least", "", "2026-01-01", "Platform"),
)
# Release, system, time, environment, hotfix, version.
RELEASES = (
    ("REL-101", "contact-centre-assist", "2026-07-06T05:30:00Z", "production", "no", "4.2.0"),
    ("REL-102", "policy-search", "2026-07-13T06:00:00Z", "production", "no", "2.9.0"),
    ("REL-103", "policy-search", "2026-07-15T12:00:00Z", "production", "yes", "2.9.1"),
    ("REL-104", "claims-copilot", "2026-07-21T05:00:00Z", "staging", "no", "1.7.0"),
    ("REL-105", "document-intake", "2026-07-27T04:30:00Z", "production", "no", "1.14.0"),
    ("REL-106", "contact-centre-assist", "2026-08-05T05:30:00Z", "production", "yes", "4.2.1"),
    ("REL-107", "claims-copilot", "2026-08-17T05:00:00Z", "production", "no", "1.7.0"),
    ("REL-108", "document-intake", "2026-08-19T04:30:00Z", "production", "yes", "1.14.2"),
    ("REL-109", "policy-search", "2026-08-24T06:00:00Z", "production", "no", "3.0.0"),
    ("REL-110", "underwriting-notes", "2026-08-31T06:00:00Z", "production", "no", "0.6.0"),
    ("REL-111", "marketing-drafts", "2026-09-01T07:00:00Z", "production", "no", "0.8.0"),
    ("REL-112", "claims-copilot", "2026-09-10T05:00:00Z", "production", "no", "1.8.0"),
    ("REL-113", "contact-centre-assist", "2026-09-10T05:30:00Z", "production", "yes", "4.2.2"),
    ("REL-114", "claims-copilot", "2026-09-15T05:00:00Z", "production", "yes", "1.8.1"),
    ("REL-115", "document-intake", "2026-09-21T04:30:00Z", "production", "no", "1.15.0"),
    ("REL-116", "policy-search", "2026-09-25T06:00:00Z", "production", "yes", "3.0.1"),
)
ACTION_SYSTEM = "claims-copilot"
ACTION_SHARE = 0.2
OUTCOMES = (("success", 0.86), ("failure", 0.05), ("abandoned", 0.09))


def record_files(requests: Sequence[Request]) -> dict[str, str]:
    """File name to CSV text."""
    return {
        "systems.csv": csv_text(
            (
                "system_id",
                "name",
                "owner",
                "lifecycle",
                "risk_tier",
                "team",
                "business_unit",
                "cost_center",
                "intended_purpose",
                "personal_data",
                "eu_ai_act_class",
                "depends_on",
                "started_on",
                "in_service_on",
                "last_reviewed_on",
                "service_names",
            ),
            (_system(system) for system in SYSTEMS),
        ),
        "incidents.csv": csv_text(INCIDENT_HEADER, (incident.row() for incident in INCIDENTS)),
        "targets.csv": csv_text(("metric_id", "scope", "target", "direction", "amber_margin", "valid_from", "set_by"), TARGETS),
        "releases.csv": csv_text(("release_id", "system_id", "released_at", "environment", "hotfix", "version"), RELEASES),
        "actions.csv": csv_text(("action_id", "at", "name", "outcome", "trace_id", "system_id", "tenant"), actions(requests)),
    }


def governance_files() -> dict[str, str]:
    """File name to CSV text of the registers and records that boards keep."""
    return {f"{name}.csv": csv_text(*table) for name, table in {**REGISTERS, **PLANS, **records()}.items()}


def actions(requests: Iterable[Request]) -> list[tuple[Any, ...]]:
    """Claim notes that clerks filed, gave up or had to write themselves, some minutes after the copilot answered."""
    random = Random(f"{SEED}/actions")
    found: list[tuple[Any, ...]] = []
    for request in requests:
        if request.system_id == ACTION_SYSTEM and request.environment == "production" and random.random() < ACTION_SHARE:
            outcome = random.choices([name for name, _ in OUTCOMES], [weight for _, weight in OUTCOMES])[0]
            at = moment(request.ended_us) + timedelta(seconds=random.randrange(60, 900))
            trace_id = request.trace_id.hex() if request.traced else ""
            name = f"ACT-{len(found) + 1:05d}"
            found.append((name, f"{at:%Y-%m-%dT%H:%M:%SZ}", "claim_note_filed", outcome, trace_id, ACTION_SYSTEM, ""))
    return found


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _system(system: System) -> tuple[Any, ...]:
    unit, cost_center, purpose, personal, act_class, depends_on, started, in_service, reviewed = REGISTER[system.system_id]
    return (
        system.system_id,
        system.name,
        system.owner,
        "production",
        system.tier,
        system.team,
        unit,
        cost_center,
        purpose,
        personal,
        act_class,
        depends_on,
        started,
        in_service,
        reviewed,
        system.service_name,
    )
