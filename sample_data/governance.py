"""Registers of the fictional company beside its systems: patterns, initiatives, models, capabilities.

A row with `valid_from` is a later version of the row with the same key: the register as it was read that day.
"""

from collections.abc import Mapping, Sequence

Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]

PATTERNS: Table = (
    ("pattern_id", "name", "version", "status", "approved_on", "retired_on", "grace_ends_on"),
    (
        ("PAT-RAG", "Grounded answers", "2", "approved", "2025-11-03", "", ""),
        ("PAT-AGENT", "Assistant with tools", "1", "approved", "2026-02-16", "", ""),
        ("PAT-DOC", "Document extraction", "3", "approved", "2025-06-02", "", ""),
        ("PAT-CHAT", "Plain completion", "1", "retired", "2024-09-02", "2026-04-15", ""),
        ("PAT-BATCH", "Nightly scoring", "1", "retired", "2025-01-13", "2026-03-01", "2026-09-30"),
    ),
)
INITIATIVES: Table = (
    (
        "initiative_id",
        "name",
        "started_on",
        "status",
        "system_id",
        "pattern_id",
        "conformance",
        "exception_expires_on",
        "assessed_on",
        "valid_from",
    ),
    (
        ("INI-01", "Renewal letters", "2026-02-02", "done", "marketing-drafts", "PAT-CHAT", "full", "", "2026-02-23", ""),
        ("INI-02", "Mail triage", "2026-03-09", "done", "document-intake", "PAT-DOC", "full", "", "2026-04-13", ""),
        ("INI-03", "Newsletter variants", "2026-04-07", "done", "marketing-drafts", "PAT-CHAT", "full", "", "2026-06-22", ""),
        ("INI-04", "Claim history look-up", "2026-04-13", "done", "claims-copilot", "PAT-AGENT", "full", "", "2026-05-18", ""),
        ("INI-05", "Tariff comparison", "2026-04-20", "done", "policy-search", "PAT-RAG", "full", "", "2026-05-29", ""),
        ("INI-06", "Invoice reading", "2026-05-04", "active", "document-intake", "PAT-DOC", "full", "", "2026-06-10", ""),
        ("INI-07", "Risk narrative", "2026-05-11", "active", "underwriting-notes", "", "none", "", "2026-06-15", ""),
        ("INI-08", "Fraud signals", "2026-05-18", "active", "", "PAT-BATCH", "full", "", "2026-07-20", ""),
        (
            "INI-09",
            "Call wrap-up",
            "2026-05-26",
            "active",
            "contact-centre-assist",
            "PAT-AGENT",
            "exception",
            "2026-08-31",
            "2026-06-30",
            "",
        ),
        ("INI-10", "Claim summary v7", "2026-06-01", "done", "claims-copilot", "PAT-RAG;PAT-AGENT", "full", "", "2026-07-06", ""),
        ("INI-11", "Broker search", "2026-06-08", "active", "policy-search", "PAT-RAG", "full", "", "2026-07-13", ""),
        ("INI-12", "Campaign texts", "2026-06-15", "active", "marketing-drafts", "PAT-CHAT", "full", "", "2026-08-03", ""),
        ("INI-13", "Risk score tool", "2026-06-22", "done", "underwriting-notes", "PAT-AGENT", "full", "", "2026-07-27", ""),
        ("INI-14", "Handwriting", "2026-07-01", "active", "document-intake", "PAT-DOC", "full", "", "2026-08-10", ""),
        ("INI-15", "Live translation", "2026-07-06", "active", "contact-centre-assist", "", "exception", "2026-12-31", "2026-08-17", ""),
        ("INI-16", "Expert reports", "2026-07-13", "active", "claims-copilot", "PAT-RAG", "full", "", "2026-08-24", ""),
        ("INI-17", "Broker chat", "2026-07-20", "active", "", "PAT-RAG", "none", "", "2026-08-31", ""),
        ("INI-18", "Voice clone", "2026-07-27", "active", "contact-centre-assist", "", "", "", "", ""),
        ("INI-18", "Voice clone", "2026-07-27", "cancelled", "contact-centre-assist", "", "", "", "", "2026-08-20"),
        ("INI-19", "Terms index v3", "2026-08-03", "active", "policy-search", "PAT-RAG", "full", "", "2026-09-07", ""),
        ("INI-20", "Occupation classes", "2026-08-10", "active", "underwriting-notes", "PAT-AGENT", "full", "", "2026-09-14", ""),
        ("INI-21", "Prompt playground", "2026-08-17", "sandbox", "", "", "", "", "", ""),
        ("INI-22", "Callback planning", "2026-08-24", "active", "contact-centre-assist", "PAT-AGENT", "full", "", "2026-09-21", ""),
        ("INI-23", "Claim letters", "2026-09-01", "active", "claims-copilot", "PAT-DOC", "full", "", "2026-09-25", ""),
        ("INI-24", "Growth experiments", "2026-09-07", "active", "", "", "", "", "", ""),
        ("INI-25", "Mailbox rules", "2026-09-14", "active", "document-intake", "", "exception", "", "2026-09-28", ""),
    ),
)
# A review of claims-copilot's model renewed it; nova-lite was to end with August and goes on; nobody calls opus.
MODELS: Table = (
    (
        "item_id",
        "kind",
        "system_id",
        "provider",
        "name",
        "version",
        "owner",
        "environment",
        "last_reviewed_on",
        "lifecycle",
        "retired_on",
        "valid_from",
    ),
    (
        ("M-01", "model", "contact-centre-assist", "openai", "gpt-4o", "2024-08-06", "Maren Lohse", "production", "2026-05-12", "", "", ""),
        (
            "M-02",
            "model",
            "contact-centre-assist",
            "openai",
            "gpt-5-mini-2025-08-07",
            "2025-08-07",
            "",
            "production",
            "2026-05-12",
            "",
            "",
            "",
        ),
        ("M-03", "model", "marketing-drafts", "openai", "gpt-4o", "2024-08-06", "Ilka Sommer", "production", "2026-04-13", "", "", ""),
        ("M-04", "model", "policy-search", "openai", "gpt-5-mini", "2025-08-07", "Tarek Haddad", "production", "2025-10-06", "", "", ""),
        ("M-05", "model", "policy-search", "openai", "text-embedding-3-small", "1", "Tarek Haddad", "production", "2025-10-06", "", "", ""),
        ("M-06", "model", "claims-copilot", "anthropic", "claude-sonnet-4-5", "20250929", "", "production", "2026-02-10", "", "", ""),
        (
            "M-06",
            "model",
            "claims-copilot",
            "anthropic",
            "claude-sonnet-4-5",
            "20250929",
            "",
            "production",
            "2026-08-20",
            "",
            "",
            "2026-08-20",
        ),
        ("M-07", "model", "underwriting-notes", "anthropic", "claude-haiku-4-5", "20251001", "", "production", "2026-02-17", "", "", ""),
        ("M-08", "model", "underwriting-notes", "anthropic", "claude-opus-4-1", "20250805", "", "production", "2026-06-02", "", "", ""),
        ("M-09", "model", "document-intake", "aws.bedrock", "claude-haiku-4-5", "20251001", "", "production", "2026-01-20", "", "", ""),
        ("M-10", "model", "document-intake", "aws.bedrock", "amazon.nova-lite-v1:0", "1", "", "production", "2026-01-20", "", "", ""),
        (
            "M-10",
            "model",
            "document-intake",
            "aws.bedrock",
            "amazon.nova-lite-v1:0",
            "1",
            "",
            "production",
            "2026-01-20",
            "retired",
            "2026-08-31",
            "2026-08-24",
        ),
        ("M-11", "model", "claims-copilot", "anthropic", "claude-opus-4-5", "20251101", "", "staging", "2026-09-01", "", "", "2026-09-01"),
        ("P-01", "prompt", "claims-copilot", "nordwind", "claim-summary", "v8", "Jonas Brandt", "production", "2026-06-22", "", "", ""),
        ("P-02", "prompt", "policy-search", "nordwind", "policy-answer", "v4", "Tarek Haddad", "production", "2025-10-06", "", "", ""),
        ("P-03", "prompt", "marketing-drafts", "nordwind", "newsletter", "", "Ilka Sommer", "production", "2026-04-13", "", "", ""),
        (
            "E-01",
            "endpoint",
            "document-intake",
            "aws.bedrock",
            "doc-intake-eu",
            "1",
            "Svea Petersen",
            "production",
            "2026-01-20",
            "",
            "",
            "",
        ),
        ("E-02", "endpoint", "contact-centre-assist", "openai", "cc-assist", "4", "Maren Lohse", "production", "2026-05-12", "", "", ""),
    ),
)
CAPABILITIES: Table = (
    ("system_id", "capability", "provision", "component_id", "valid_from"),
    (
        ("contact-centre-assist", "gateway", "shared", "llm-gateway", ""),
        ("contact-centre-assist", "retrieval", "shared", "policy-search", ""),
        ("contact-centre-assist", "evaluation", "shared", "eval-harness", ""),
        ("contact-centre-assist", "guardrails", "bought", "", ""),
        ("contact-centre-assist", "customer data", "shared", "crm_lookup", ""),
        ("claims-copilot", "gateway", "shared", "llm-gateway", ""),
        ("claims-copilot", "retrieval", "bespoke", "", ""),
        ("claims-copilot", "retrieval", "shared", "policy-search", "2026-09-07"),
        ("claims-copilot", "evaluation", "shared", "eval-harness", ""),
        ("claims-copilot", "customer data", "shared", "crm_lookup", ""),
        ("underwriting-notes", "gateway", "shared", "llm-gateway", ""),
        ("underwriting-notes", "retrieval", "bespoke", "", ""),
        ("underwriting-notes", "evaluation", "bespoke", "", ""),
        ("underwriting-notes", "risk data", "bespoke", "risk_score", ""),
        ("policy-search", "gateway", "shared", "llm-gateway", ""),
        ("policy-search", "retrieval", "bespoke", "policy-index", ""),
        ("policy-search", "evaluation", "shared", "eval-harness", ""),
        ("policy-search", "prompt store", "shared", "prompt-store", ""),
        ("document-intake", "gateway", "none", "", ""),
        ("document-intake", "extraction", "bought", "", ""),
        ("document-intake", "evaluation", "bespoke", "", ""),
        ("marketing-drafts", "gateway", "shared", "llm-gateway", ""),
        ("marketing-drafts", "prompt store", "shared", "", ""),
    ),
)
REGISTERS: Mapping[str, Table] = {
    "patterns": PATTERNS,
    "initiatives": INITIATIVES,
    "models": MODELS,
    "capabilities": CAPABILITIES,
}


def rows_of(table: Table) -> list[dict[str, str]]:
    header, rows = table
    return [dict(zip(header, row, strict=True)) for row in rows]


def valid_rows(table: Table, key: Sequence[str], end: str) -> list[dict[str, str]]:
    """The version of every key that held just before a day, written like the days in the rows."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in sorted(rows_of(table), key=lambda row: row["valid_from"]):
        if row["valid_from"] < end:
            found[tuple(row[name] for name in key)] = row
    return list(found.values())
