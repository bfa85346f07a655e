"""Settings that change what numbers mean: refused when misspelt, kept in the ledger, and their changes in the audit trail."""

from pathlib import Path

import pytest

from app import settings
from app.ledger import LocalLedger
from app.settings import ConfigError
from metrics.definitions import Definitions, definitions

OWN = """
[inventory]
review_days = 90
[incidents]
not_ai_services = ["printer"]
mitigated_at_fields = ["u_restored"]
[evaluation_names.tone]
kpi = "safety_violation_rate"
bad_labels = ["rude"]
"""


def opened(folder: Path, text: str) -> tuple[Definitions, int]:
    """What the ledger defines after it was opened with these settings, and how often that changed."""
    (folder / "spanledger.toml").write_text(text)
    ledger = LocalLedger(settings.read(folder / "ledger.duckdb", folder), read_only=False)
    try:
        return definitions(ledger), ledger.query("select count(*) as n from events where kind = 'definitions'")["n"][0]
    finally:
        ledger.store.close()


def test_definitions_are_kept_in_the_ledger_and_every_change_of_them_in_the_audit_trail(tmp_path: Path) -> None:
    assert opened(tmp_path, "") == (Definitions(), 0)
    own, changes = opened(tmp_path, OWN)
    assert (own.review_days, own.tier_1_review_days, own.not_ai_services, changes) == (90, 180, ("printer",), 1)
    assert own.evaluation_names["tone"].bad_labels == ("rude",)
    assert opened(tmp_path, OWN) == (own, 1)
    assert opened(tmp_path, "") == (Definitions(), 2)


@pytest.mark.parametrize(
    "text",
    ["[inventory]\nreview_days = 0\n", "[incidents]\nnot_ai = []\n", '[evaluation_names.x]\nkpi = "tone"\n'],
)
def test_a_setting_that_means_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        opened(tmp_path, text)
