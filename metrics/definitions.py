"""What a company defines differently from the defaults. It is kept in the ledger, so that every reader of it counts alike."""

from typing import Annotated, Literal

import msgspec

from metrics.engines import Engine

KEY = "definitions"
Days = Annotated[int, msgspec.Meta(ge=1)]


class EvaluationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the score and label of one evaluation name mean; quality.toml says what each field is."""

    kpi: Literal["retrieval_precision", "unsupported_claim_rate", "safety_violation_rate"]
    bad_at_least: float | None = None
    bad_at_most: float | None = None
    bad_labels: tuple[str, ...] = ()
    good_labels: tuple[str, ...] = ()
    is_input: bool = False


class Definitions(msgspec.Struct, frozen=True):
    """Days for which a review of an inventory item is valid, services that are not AI's, and what evaluation names mean."""

    review_days: Days = 365
    tier_1_review_days: Days = 180
    not_ai_services: tuple[str, ...] = ()
    evaluation_names: dict[str, EvaluationRule] = {}

    def json(self) -> str:
        return msgspec.json.encode(self, order="sorted").decode()


def definitions(engine: Engine) -> Definitions:
    """The company's own as the ledger has them, else the defaults."""
    found = engine.query("select m.value as value from ledger_meta m where m.key = $key", {"key": KEY})["value"].to_list()
    return msgspec.json.decode(found[0], type=Definitions) if found else Definitions()
