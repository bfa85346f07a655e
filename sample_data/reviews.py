"""What the fictional company's boards put on record: reviews, readiness checks, decisions with their ADRs, and surveys."""

from collections.abc import Mapping
from random import Random

from sample_data.company import SEED
from sample_data.governance import Table

REVIEWS: Table = (
    ("review_id", "subject_id", "type", "submitted_at", "decided_at", "outcome", "round", "pattern_class", "on_hold_days"),
    (
        ("RV-001", "INI-10", "architecture", "2026-07-01T08:00:00Z", "2026-07-06T14:00:00Z", "approved", "1", "standard", ""),
        ("RV-002", "INI-11", "architecture", "2026-07-02T09:00:00Z", "2026-07-13T10:00:00Z", "conditions_minor", "1", "standard", ""),
        ("RV-003", "INI-13", "architecture", "2026-07-09T09:00:00Z", "2026-07-20T15:00:00Z", "rework_major", "1", "novel", "2"),
        ("RV-004", "INI-13", "architecture", "2026-07-22T09:00:00Z", "2026-07-27T11:00:00Z", "approved", "2", "novel", ""),
        ("RV-005", "INI-08", "architecture", "2026-07-13T09:00:00Z", "2026-07-20T09:30:00Z", "approved", "1", "standard", ""),
        ("RV-006", "INI-15", "architecture", "2026-07-20T09:00:00Z", "2026-08-17T16:00:00Z", "conditions_minor", "1", "novel", "5"),
        ("RV-007", "INI-14", "architecture", "2026-07-27T09:00:00Z", "2026-08-10T12:00:00Z", "approved", "1", "standard", ""),
        ("RV-008", "INI-12", "architecture", "2026-08-03T08:00:00Z", "2026-08-03T16:00:00Z", "rejected", "1", "standard", ""),
        ("RV-009", "INI-16", "architecture", "2026-08-10T09:00:00Z", "2026-08-24T10:00:00Z", "approved", "1", "standard", ""),
        ("RV-010", "INI-18", "architecture", "2026-08-06T09:00:00Z", "2026-08-20T09:00:00Z", "withdrawn", "1", "novel", ""),
        ("RV-011", "INI-17", "architecture", "2026-08-12T09:00:00Z", "2026-08-31T15:00:00Z", "rejected", "1", "novel", ""),
        ("RV-012", "INI-19", "architecture", "2026-08-25T09:00:00Z", "2026-09-07T11:00:00Z", "approved", "1", "standard", ""),
        ("RV-013", "INI-20", "architecture", "2026-08-27T09:00:00Z", "2026-09-14T13:00:00Z", "conditions_minor", "1", "novel", "1"),
        ("RV-014", "INI-22", "architecture", "2026-09-01T09:00:00Z", "2026-09-09T10:00:00Z", "rework_major", "1", "novel", ""),
        ("RV-015", "INI-22", "architecture", "2026-09-14T09:00:00Z", "2026-09-21T10:00:00Z", "approved", "2", "novel", ""),
        ("RV-016", "INI-23", "architecture", "2026-09-03T09:00:00Z", "2026-09-14T10:00:00Z", "approved", "1", "standard", ""),
        ("RV-017", "marketing-drafts", "architecture", "2026-09-02T09:00:00Z", "2026-09-04T12:00:00Z", "approved", "1", "standard", ""),
        ("RV-018", "policy-search", "architecture", "2026-09-08T09:00:00Z", "2026-09-16T12:00:00Z", "approved", "1", "standard", ""),
        (
            "RV-019",
            "claims-copilot",
            "architecture",
            "2026-09-10T09:00:00Z",
            "2026-09-24T12:00:00Z",
            "conditions_minor",
            "1",
            "standard",
            "",
        ),
        ("RV-020", "INI-25", "architecture", "2026-09-15T09:00:00Z", "", "", "1", "novel", ""),
        ("RV-021", "INI-24", "architecture", "2026-09-21T09:00:00Z", "", "", "1", "novel", "3"),
        ("RV-022", "document-intake", "architecture", "2026-09-17T09:00:00Z", "2026-09-25T09:00:00Z", "approved", "1", "standard", ""),
        ("RV-101", "INI-10", "security", "2026-06-25T08:00:00Z", "2026-07-03T08:00:00Z", "approved", "1", "", ""),
        ("RV-102", "INI-10", "privacy", "2026-06-25T08:00:00Z", "2026-07-08T08:00:00Z", "conditions_minor", "1", "", ""),
        ("RV-103", "INI-11", "security", "2026-07-02T08:00:00Z", "2026-07-10T08:00:00Z", "approved", "1", "", ""),
        ("RV-104", "INI-13", "security", "2026-07-06T08:00:00Z", "2026-07-16T08:00:00Z", "rework_major", "1", "", ""),
        ("RV-105", "INI-13", "security", "2026-07-20T08:00:00Z", "2026-07-24T08:00:00Z", "approved", "2", "", ""),
        ("RV-106", "INI-13", "privacy", "2026-07-06T08:00:00Z", "2026-07-17T08:00:00Z", "approved", "1", "", ""),
        ("RV-107", "INI-08", "security", "2026-07-13T08:00:00Z", "2026-07-22T08:00:00Z", "approved", "1", "", ""),
        ("RV-108", "INI-08", "privacy", "2026-07-13T08:00:00Z", "2026-07-29T08:00:00Z", "approved", "1", "", ""),
        ("RV-109", "INI-14", "security", "2026-07-29T08:00:00Z", "2026-08-05T08:00:00Z", "approved", "1", "", ""),
        ("RV-110", "INI-14", "privacy", "2026-07-29T08:00:00Z", "2026-08-07T08:00:00Z", "conditions_minor", "1", "", ""),
        ("RV-111", "INI-15", "security", "2026-07-30T08:00:00Z", "2026-08-11T08:00:00Z", "conditions_minor", "1", "", ""),
        ("RV-112", "INI-15", "privacy", "2026-07-30T08:00:00Z", "2026-08-13T08:00:00Z", "rejected", "1", "", ""),
        ("RV-113", "INI-16", "security", "2026-08-11T08:00:00Z", "2026-08-19T08:00:00Z", "approved", "1", "", ""),
        ("RV-114", "INI-16", "privacy", "2026-08-11T08:00:00Z", "2026-08-26T08:00:00Z", "approved", "1", "", ""),
        ("RV-115", "INI-18", "security", "2026-08-06T08:00:00Z", "2026-08-20T08:00:00Z", "withdrawn", "1", "", ""),
        ("RV-116", "INI-12", "security", "2026-08-03T08:00:00Z", "2026-08-12T08:00:00Z", "approved", "1", "", ""),
        ("RV-117", "INI-17", "security", "2026-08-13T08:00:00Z", "2026-09-02T08:00:00Z", "rework_major", "1", "", ""),
        ("RV-118", "INI-17", "privacy", "2026-08-13T08:00:00Z", "2026-09-03T08:00:00Z", "approved", "1", "", ""),
        ("RV-119", "INI-19", "security", "2026-08-26T08:00:00Z", "2026-09-04T08:00:00Z", "approved", "1", "", ""),
        ("RV-120", "INI-20", "security", "2026-08-28T08:00:00Z", "2026-09-08T08:00:00Z", "approved", "1", "", ""),
        ("RV-121", "INI-20", "privacy", "2026-08-28T08:00:00Z", "2026-09-10T08:00:00Z", "approved", "1", "", ""),
        ("RV-122", "INI-22", "security", "2026-09-02T08:00:00Z", "2026-09-15T08:00:00Z", "conditions_minor", "1", "", ""),
        ("RV-123", "INI-22", "privacy", "2026-09-02T08:00:00Z", "2026-09-16T08:00:00Z", "approved", "1", "", ""),
        ("RV-124", "INI-23", "security", "2026-09-04T08:00:00Z", "2026-09-15T08:00:00Z", "approved", "1", "", ""),
        ("RV-125", "marketing-drafts", "security", "2026-09-02T08:00:00Z", "2026-09-09T08:00:00Z", "approved", "1", "", ""),
        ("RV-126", "policy-search", "security", "2026-09-08T08:00:00Z", "2026-09-17T08:00:00Z", "approved", "1", "", ""),
        ("RV-127", "claims-copilot", "security", "2026-09-10T08:00:00Z", "2026-09-22T08:00:00Z", "approved", "1", "", ""),
        ("RV-128", "claims-copilot", "privacy", "2026-09-10T08:00:00Z", "2026-10-02T08:00:00Z", "approved", "1", "", ""),
        ("RV-129", "INI-25", "security", "2026-09-16T08:00:00Z", "", "", "1", "", ""),
    ),
)
ITEMS = ("eval", "monitoring", "rollback", "docs")
# What differs from a pass: result, reason, last day of a waiver. REL-116 went out in a hurry, without a checklist.
CHECKED = ("101", "102", "103", "105", "106", "107", "108", "109", "110", "111", "112", "113", "114", "115")
EXCEPTIONS = {
    ("102", "docs"): ("fail", "", ""),
    ("103", "eval"): ("na", "Change of a time-out only", ""),
    ("108", "eval"): ("waived", "Hotfix against throttling", "2026-08-31"),
    ("112", "docs"): ("waived", "Manual follows with 1.8.1", "2026-09-30"),
    ("113", "docs"): ("na", "No new behaviour", ""),
    ("114", "eval"): ("waived", "As for 1.8.0", "2026-09-12"),
}
READINESS: Table = (
    ("release_id", "item", "result", "reason", "waiver_expires_on"),
    tuple((f"REL-{release}", item, *EXCEPTIONS.get((release, item), ("pass", "", ""))) for release in CHECKED for item in ITEMS),
)
DECISIONS: Table = (
    ("decision_id", "system_id", "title", "decided_on", "major", "adr_path"),
    (
        ("DEC-01", "contact-centre-assist", "Keep gpt-4o until the next evaluation", "2026-07-08", "yes", "adr/0009-keep-gpt-4o.md"),
        ("DEC-02", "claims-copilot", "One prompt per line of business", "2026-07-14", "yes", "adr/0010-prompt-per-line.md"),
        ("DEC-03", "underwriting-notes", "Score risks with a tool", "2026-07-22", "yes", "adr/0011-risk-score-tool.md"),
        ("DEC-04", "policy-search", "Rebuild the index nightly", "2026-07-24", "yes", ""),
        ("DEC-05", "contact-centre-assist", "Rename a queue", "2026-07-28", "no", ""),
        ("DEC-06", "claims-copilot", "Cache the claim file for an hour", "2026-08-11", "yes", "adr/0012-cache-one-hour.md"),
        ("DEC-07", "contact-centre-assist", "No translation of complaints", "2026-08-18", "yes", "adr/0013-no-translated-complaints.md"),
        ("DEC-08", "underwriting-notes", "Haiku instead of Sonnet", "2026-08-20", "yes", "adr/0014-haiku-for-notes.md"),
        ("DEC-09", "document-intake", "End nova-lite", "2026-08-24", "yes", "adr/0015-end-nova-lite.md"),
        ("DEC-10", "claims-copilot", "Cache for five minutes", "2026-09-01", "yes", "adr/0016-cache-five-minutes.md"),
        ("DEC-11", "claims-copilot", "Longer summaries with prompt v8", "2026-09-09", "yes", "adr/0017-longer-summaries.md"),
        ("DEC-12", "contact-centre-assist", "Limit tool calls per request", "2026-09-10", "yes", "adr/0018-limit-tool-calls.md"),
        ("DEC-13", "underwriting-notes", "Two people sign every note", "2026-09-17", "yes", "adr/0019-two-signatures.md"),
        ("DEC-14", "claims-copilot", "Retrieval from Policy Search", "2026-09-04", "yes", "adr/0020-shared-retrieval.md"),
        ("DEC-15", "contact-centre-assist", "Callback planning with tools", "2026-09-21", "yes", "adr/0021-callbacks.md"),
    ),
)
# File, title, status as written, date, file that supersedes it, parts.
ADRS: Table = (
    ("path", "title", "status", "decided_on", "superseded_by", "parts"),
    (
        ("0007-one-gateway.md", "One gateway for all providers", "accepted", "2026-03-04", "", "cdq"),
        ("0008-no-fine-tuning.md", "No fine-tuning this year", "proposed", "2026-05-20", "", "cd"),
        ("0009-keep-gpt-4o.md", "Keep gpt-4o", "accepted", "2026-08-19", "", "cdq"),
        ("0010-prompt-per-line.md", "One prompt per line of business", "accepted", "2026-07-15", "", "cdq"),
        ("0011-risk-score-tool.md", "Score risks with a tool", "accepted", "2026-07-23", "", "cdq"),
        ("0012-cache-one-hour.md", "Cache the claim file for an hour", "superseded", "2026-08-12", "0016-cache-five-minutes.md", "cdq"),
        ("0013-no-translated-complaints.md", "No translation of complaints", "accepted", "2026-08-19", "", "cdq"),
        ("0014-haiku-for-notes.md", "Haiku instead of Sonnet", "accepted", "2026-08-21", "", "cd"),
        ("0015-end-nova-lite.md", "End nova-lite", "accepted", "2026-08-24", "", "cdq"),
        ("0016-cache-five-minutes.md", "Cache for five minutes", "accepted", "2026-09-01", "", "cdq"),
        ("0017-longer-summaries.md", "Longer summaries", "", "2026-09-09", "", "cdq"),
        ("0018-limit-tool-calls.md", "Limit tool calls per request", "accepted", "2026-09-11", "", "cdq"),
        ("0019-two-signatures.md", "Two people sign every note", "accepted", "2026-09-18", "", "cdq"),
        ("0020-shared-retrieval.md", "Retrieval from Policy Search", "accepted", "2026-09-04", "", "cdq"),
        ("0021-callbacks.md", "Callback planning with tools", "accepted", "2026-09-22", "", "cdq"),
    ),
)
PARTS = {"c": "Context", "d": "Decision", "q": "Consequences"}
# Survey, people asked, how often each score from 5 down to 1; the board answers on a scale from 0 to 10.
SURVEYS = (("2026-Q1", 36, (3, 6, 4, 1, 0)), ("2026-Q2", 40, (4, 7, 3, 1, 0)), ("2026-Q3", 42, (8, 7, 2, 1, 0)))
BOARD = {"2026-Q3": (9, 8)}
SURVEY_HEADER = ("response_id", "period", "score", "audience", "question_id", "invited_n", "scale_min", "scale_max")


def surveys() -> Table:
    """One row per answer, in an order that tells nothing."""
    random = Random(f"{SEED}/surveys")
    rows = []
    for period, invited, counts in SURVEYS:
        answers = [(str(5 - position), "1", "5") for position, n in enumerate(counts) for _ in range(n)]
        answers += [(str(score), "0", "10") for score in BOARD.get(period, ())]
        random.shuffle(answers)
        for number, (score, low, high) in enumerate(answers, start=1):
            rows.append((f"{period}-{number:02d}", period, score, "users", "overall", str(invited), low, high))
    return SURVEY_HEADER, tuple(rows)


def adr_files() -> Mapping[str, str]:
    """The folder of decision records; where the status stands differs as it does in real folders."""
    header, rows = ADRS
    return {row[0]: _markdown(number, dict(zip(header, row, strict=True))) for number, row in enumerate(rows)}


def _markdown(number: int, adr: Mapping[str, str]) -> str:
    """Status and date in the front matter, in bullets, or as a section and a line."""
    link = f" by [{adr['superseded_by']}]({adr['superseded_by']})" if adr["superseded_by"] else ""
    told = {"status": adr["status"] + link, "date": adr["decided_on"]}
    said = {name: text for name, text in told.items() if text}
    front, below = "", ""
    if number % 3 == 0:
        front = "".join(["---\n", *(f"{name}: {text}\n" for name, text in said.items()), "---\n"])
    elif number % 3 == 1:
        below = "".join([*(f"- {name.capitalize()}: {text}\n" for name, text in said.items()), "\n"])
    else:
        below = f"Date: {said['date']}\n\n" + (f"## Status\n\n{said['status']}\n\n" if "status" in said else "")
    parts = "\n".join(f"## {PARTS[part]}\n\nSynthetic text of a fictional company.\n" for part in adr["parts"])
    return f"{front}# {adr['path'][:4]} {adr['title']}\n\n{below}{parts}"


def records() -> Mapping[str, Table]:
    return {"reviews": REVIEWS, "readiness": READINESS, "decisions": DECISIONS, "surveys": surveys()}
