"""What was judged of the answers: a judge's verdicts on samples, labels that people gave some of them, relevance, a guardrail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from sample_data.calls import Request, Retrieval, moment
from sample_data.company import SEED
from sample_data.records import csv_text

HEADER = (
    "evaluation_id",
    "evaluated_at",
    "name",
    "evaluator_kind",
    "evaluator_version",
    "score",
    "label",
    "sampling_probability",
    "response_id",
    "error",
)
# Share of answers that the judge sees, and share of answers that really hold an unsupported claim.
JUDGED = {"contact-centre-assist": (0.6, 0.04), "claims-copilot": (0.35, 0.06), "policy-search": (0.25, 0.05)}
LABELLED_SHARE = 0.15  # of the judged answers, drawn at random for people to label
# The judge's prompt changed on a day: from then on it clears fewer of the sound answers.
JUDGE_CHANGED_ON = date(2026, 8, 10)
SENSITIVITY, SPECIFICITY = 0.8, {"judge-1": 0.95, "judge-2": 0.9}
JUDGE_FAILS = 0.01
RETRIEVAL_SHARE, RELEVANT_SHARE = 0.4, 0.74
# One system has every answer looked at by a guardrail; people look at what it flags.
SCREENED, GUARDRAIL, LEAK_SHARE, FALSE_ALARM_SHARE = "underwriting-notes", "guard-3", 0.006, 0.004
NIGHT, MORNING = time(2), time(9)


@dataclass(frozen=True)
class Answer:
    """An answer of the quarter with what is really true of it."""

    system_id: str
    answered_on: date
    response_id: str
    is_unsupported: bool


@dataclass(frozen=True)
class Search:
    """A retrieval, with the share of its documents that are relevant; None where nothing was found."""

    searched_on: date
    response_id: str | None
    relevant: float | None


@dataclass(frozen=True)
class Evaluation:
    """One row of the file."""

    at: datetime
    name: str
    kind: str
    version: str
    response_id: str
    score: float | None = None
    label: str = ""
    probability: float | None = None
    error: str = ""

    def row(self, number: int) -> tuple[Any, ...]:
        score = "" if self.score is None else f"{self.score:.2f}"
        probability = "" if self.probability is None else f"{self.probability:g}"
        at = f"{self.at:%Y-%m-%dT%H:%M:%SZ}"
        return (f"EV{number:05d}", at, self.name, self.kind, self.version, score, self.label, probability, self.response_id, self.error)


def evaluations_csv(requests: Sequence[Request]) -> str:
    return csv_text(HEADER, (found.row(number) for number, found in enumerate(evaluations(requests), 1)))


def evaluations(requests: Sequence[Request]) -> list[Evaluation]:
    """Everything that was judged, in an order that compresses well."""
    judged = [found for system in JUDGED for found in _judgements(answers(requests, system), system)]
    return judged + _relevance(searches(requests)) + _screening(requests)


def answers(requests: Iterable[Request], system: str) -> list[Answer]:
    """The last call of every traced request that was answered."""
    random = Random(f"{SEED}/claims/{system}")
    return [
        Answer(system, moment(request.started_us).date(), request.calls[-1].response_id, random.random() < JUDGED[system][1])
        for request in requests
        if request.system_id == system and request.traced and request.calls[-1].failure is None
    ]


def searches(requests: Iterable[Request]) -> list[Search]:
    """Every retrieval of a traced request; it is judged together with the answer that was built on it."""
    random = Random(f"{SEED}/relevance")
    found = []
    for request in requests:
        for step in request.steps:
            if isinstance(step, Retrieval) and request.traced:
                count = len(step.documents)
                relevant = sum(random.random() < RELEVANT_SHARE for _ in range(count)) / count if count else None
                last = request.calls[-1]
                answer = last.response_id if last.failure is None and not last.is_embedding else None
                found.append(Search(moment(request.started_us).date(), answer, relevant))
    return found


def judged_at(on: date, at: time = NIGHT) -> datetime:
    """The judge works in the night after, people on the next morning."""
    return datetime.combine(on + timedelta(days=1), at, UTC)


def _judgements(answered: Sequence[Answer], system: str) -> list[Evaluation]:
    random, share = Random(f"{SEED}/judge/{system}"), JUDGED[system][0]
    verdicts: list[Evaluation] = []
    labels: list[Evaluation] = []
    for answer in answered:
        if random.random() >= share:
            continue
        version = "judge-2" if answer.answered_on >= JUDGE_CHANGED_ON else "judge-1"
        is_flagged = random.random() < (SENSITIVITY if answer.is_unsupported else 1 - SPECIFICITY[version])
        score = 0.5 + 0.5 * random.betavariate(2, 2) if is_flagged else 0.49 * random.betavariate(2, 4)
        name, own_id = "unsupported_claim", answer.response_id
        if random.random() < JUDGE_FAILS:
            verdicts.append(Evaluation(judged_at(answer.answered_on), name, "llm", version, own_id, None, "", share, "timeout"))
            continue
        verdicts.append(Evaluation(judged_at(answer.answered_on), name, "llm", version, own_id, score, "", share))
        if random.random() < LABELLED_SHARE:
            label, at = "unsupported" if answer.is_unsupported else "supported", judged_at(answer.answered_on, MORNING)
            labels.append(Evaluation(at, name, "human", "", own_id, None, label, share * LABELLED_SHARE))
    return verdicts + labels


def _relevance(found: Sequence[Search]) -> list[Evaluation]:
    random = Random(f"{SEED}/judged relevance")
    return [
        Evaluation(
            judged_at(one.searched_on), "retrieval_relevance", "llm", "relevance-1", one.response_id, one.relevant, "", RETRIEVAL_SHARE
        )
        for one in found
        if one.relevant is not None and one.response_id is not None and random.random() < RETRIEVAL_SHARE
    ]


def _screening(requests: Iterable[Request]) -> list[Evaluation]:
    """A guardrail's verdict on every answer at once, and on the next morning a person's on each that it flagged."""
    random = Random(f"{SEED}/guardrail")
    screened: list[Evaluation] = []
    reviews: list[Evaluation] = []
    for request in requests:
        for call in request.calls:
            if request.system_id != SCREENED or not request.traced or call.failure is not None:
                continue
            luck = random.random()
            is_leak, is_flagged = luck < LEAK_SHARE, luck < LEAK_SHARE + FALSE_ALARM_SHARE
            on = moment(call.ended_us).date()
            at = datetime.combine(on, time(23, 59), UTC)
            label = "leak" if is_flagged else "none"
            screened.append(Evaluation(at, "personal_data", "code", GUARDRAIL, call.response_id, None, label, 1.0))
            if is_flagged and random.random() < 0.8:
                verdict = "leak" if is_leak else "none"
                reviews.append(Evaluation(judged_at(on, MORNING), "personal_data", "human", "", call.response_id, None, verdict))
    return screened + reviews
