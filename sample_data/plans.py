"""What the fictional company plans with: budgets, objectives, risks with what they ask to decide, and days off."""

from collections.abc import Mapping

from sample_data.governance import Table

BUDGETS: Table = (
    ("budget_id", "scope", "period", "amount", "unit", "warn_at", "owner", "valid_from"),
    (
        ("BUD-01", "company", "month", "260.00", "usd", "0.9", "FinOps", ""),
        ("BUD-02", "company", "quarter", "780.00", "usd", "0.9", "FinOps", ""),
        ("BUD-03", "system=claims-copilot", "month", "110.00", "usd", "0.85", "Jonas Brandt", ""),
        ("BUD-03", "system=claims-copilot", "month", "95.00", "usd", "0.85", "Jonas Brandt", "2026-09-01"),
        ("BUD-04", "system=contact-centre-assist", "month", "75.00", "usd", "0.85", "Maren Lohse", ""),
        ("BUD-05", "team=Growth", "month", "15.00", "usd", "0.8", "Ilka Sommer", ""),
        ("BUD-06", "system=document-intake", "month", "12000000", "tokens", "0.9", "Svea Petersen", ""),
    ),
)
# The assistant's and the copilot's promises are what prompt v8 and the outages of the events break.
OBJECTIVES: Table = (
    ("objective_id", "system_id", "kind", "objective", "threshold_ms", "window_days", "valid_from"),
    (
        ("SLO-01", "contact-centre-assist", "errors", "0.98", "", "30", ""),
        ("SLO-02", "contact-centre-assist", "quality", "0.85", "", "28", ""),
        ("SLO-03", "claims-copilot", "latency", "0.95", "20000", "30", ""),
        ("SLO-04", "document-intake", "errors", "0.975", "", "30", ""),
        ("SLO-04", "document-intake", "errors", "0.985", "", "30", "2026-09-01"),
        ("SLO-05", "policy-search", "latency", "0.95", "9000", "30", ""),
    ),
)
RISKS: Table = (
    ("risk_id", "title", "owner", "severity", "system_id", "due_on", "status", "decision_needed", "valid_from"),
    (
        (
            "RSK-01",
            "Growth experiments bill a model that no register knows",
            "Ilka Sommer",
            "high",
            "",
            "2026-09-30",
            "open",
            "Register or stop the project",
            "",
        ),
        (
            "RSK-02",
            "Summaries doubled in length with prompt v8",
            "Jonas Brandt",
            "high",
            "claims-copilot",
            "2026-10-09",
            "open",
            "",
            "2026-09-14",
        ),
        ("RSK-03", "One provider for two tier 1 systems", "Pauline Ritter", "medium", "underwriting-notes", "2026-12-15", "open", "", ""),
        (
            "RSK-04",
            "Nova Lite still called after its end",
            "Svea Petersen",
            "medium",
            "document-intake",
            "2026-10-15",
            "open",
            "Move to Haiku or extend until March",
            "2026-09-01",
        ),
        ("RSK-05", "Internal phone list in answers", "Maren Lohse", "high", "contact-centre-assist", "2026-08-31", "open", "", ""),
        (
            "RSK-05",
            "Internal phone list in answers",
            "Maren Lohse",
            "high",
            "contact-centre-assist",
            "2026-08-31",
            "closed",
            "",
            "2026-08-28",
        ),
    ),
)
HOLIDAYS: Table = (
    ("date", "name"),
    (
        ("2026-01-01", "New Year"),
        ("2026-04-03", "Good Friday"),
        ("2026-04-06", "Easter Monday"),
        ("2026-05-01", "Labour Day"),
        ("2026-05-14", "Ascension Day"),
        ("2026-05-25", "Whit Monday"),
        ("2026-09-11", "Foundation day of the company"),
        ("2026-10-03", "German Unity Day"),
        ("2026-12-25", "Christmas Day"),
    ),
)
PLANS: Mapping[str, Table] = {"budgets": BUDGETS, "objectives": OBJECTIVES, "risks": RISKS, "holidays": HOLIDAYS}
