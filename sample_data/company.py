"""Nordwind Insurance (fictional): its six AI systems, how each behaves, and what happened to them in the quarter."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

SEED = "nordwind-2026-q3"
MARKER = "zanzibar"  # stands in every prompt and answer, so that a search can prove that none was kept
MONTHS = ("2026-07", "2026-08", "2026-09")
FIRST_DAY = date(2026, 7, 1)
STAGING_SHARE = 0.05


@dataclass(frozen=True)
class Model:
    """What one kind of call looks like: token counts and times are medians of lognormal distributions."""

    request_model: str
    response_model: str
    model: str  # canonical: without date, version, vendor and region
    input_tokens: int
    output_tokens: int
    spread: float = 0.4
    reasoning_share: float = 0.0
    base_ms: int = 350
    ms_per_token: float = 11.0
    stream_share: float = 0.0
    operation: str = "chat"


@dataclass(frozen=True)
class Caching:
    """From a day on: of all calls with a shared prefix, how many read it and how many write it, and for how long."""

    since: date
    prefix_tokens: int
    read_share: float
    write_share: float = 0.0
    ttl: str = "5m"


@dataclass(frozen=True)
class Prompt:
    since: date
    version: str
    output_factor: float = 1.0


@dataclass(frozen=True)
class System:
    system_id: str
    name: str
    team: str
    owner: str
    tier: int
    provider: str
    service_name: str
    project: str  # OpenAI project, Anthropic workspace or AWS account
    requests_per_weekday: float
    weekdays: tuple[float, ...]  # factor by weekday, Monday first
    hours: tuple[int, int]  # UTC, when most of the work happens
    shapes: tuple[tuple[float, tuple[str, ...]], ...]  # how often a request consists of which steps
    models: dict[str, Model]
    caching: tuple[Caching, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    tenants: tuple[str, ...] = ()
    night_batch: int = 0  # documents shortly before midnight UTC
    no_usage_share: float = 0.0  # streams that were asked without include_usage
    abort_share: float = 0.0


@dataclass(frozen=True)
class Event:
    """Something that changes a system's traffic for some hours."""

    kind: str  # errors: calls fail; retries: the agent repeats itself
    system_id: str
    start: datetime
    end: datetime
    share: float
    calls: tuple[int, int] = (1, 1)


_OFFICE = (1.04, 1.08, 1.03, 1.0, 0.88, 0.12, 0.07)
_EVERY_DAY = (1.08, 1.06, 1.0, 1.0, 0.95, 0.55, 0.3)

_GPT_4O = Model("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o", 15_000, 330, stream_share=0.6)
_MINI = Model("gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini", 5_200, 620, reasoning_share=0.45, ms_per_token=7.0)
_ROUTER = Model("gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini", 900, 90, reasoning_share=0.5, ms_per_token=7.0)
_EMBED = Model("text-embedding-3-small", "text-embedding-3-small", "text-embedding-3-small", 45, 0, base_ms=90, operation="embeddings")
_SONNET = Model(
    "claude-sonnet-4-5",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-5",
    34_000,
    620,
    spread=0.3,
    base_ms=900,
    ms_per_token=14.0,
    stream_share=0.3,
)
_HAIKU = Model("claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-haiku-4-5", 26_000, 850, base_ms=600, stream_share=1.0)
_BEDROCK_HAIKU = Model(
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "claude-haiku-4-5",
    15_000,
    480,
    base_ms=700,
)
_NOVA = Model("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "nova-lite", 4_200, 70, base_ms=300, ms_per_token=5.0)

SYSTEMS = (
    System(
        "contact-centre-assist",
        "Contact Centre Assist",
        "Customer Care",
        "Maren Lohse",
        1,
        "openai",
        "cc-assist-api",
        "proj_contact_centre",
        67,
        _EVERY_DAY,
        (6, 18),
        (
            (0.72, ("chat",)),
            (0.10, ("route", "chat")),
            (0.16, ("chat", "tool:crm_lookup", "chat")),
            (0.02, ("chat", "tool:policy_status", "chat", "tool:crm_lookup", "chat")),
        ),
        {"chat": _GPT_4O, "route": _ROUTER},
        caching=(Caching(FIRST_DAY, 8_192, 0.62),),
        abort_share=0.001,
    ),
    System(
        "claims-copilot",
        "Claims Copilot",
        "Claims",
        "Jonas Brandt",
        1,
        "anthropic",
        "claims-copilot-svc",
        "wrkspc_claims",
        41,
        _OFFICE,
        (6, 16),
        ((0.92, ("chat",)), (0.08, ("chat", "tool:claim_history", "chat"))),
        {"chat": _SONNET},
        caching=(Caching(date(2026, 8, 17), 22_400, 0.72, 0.2, "1h"), Caching(date(2026, 9, 1), 22_400, 0.78, 0.16)),
        prompts=(Prompt(FIRST_DAY, "v6"), Prompt(date(2026, 8, 17), "v7"), Prompt(date(2026, 9, 10), "v8", 2.0)),
    ),
    System(
        "underwriting-notes",
        "Underwriting Notes",
        "Underwriting",
        "Pauline Ritter",
        1,
        "anthropic",
        "uw-notes-agent",
        "wrkspc_underwriting",
        18,
        _OFFICE,
        (7, 16),
        ((0.85, ("chat",)), (0.15, ("chat", "tool:risk_score", "chat"))),
        {"chat": _HAIKU},
        caching=(Caching(FIRST_DAY, 6_000, 0.35, 0.2),),
        abort_share=0.005,
    ),
    System(
        "policy-search",
        "Policy Search",
        "Knowledge",
        "Tarek Haddad",
        2,
        "openai",
        "policy-search-web",
        "proj_policy_search",
        26,
        _OFFICE,
        (6, 17),
        ((0.5, ("embed", "retrieve", "chat")), (0.5, ("chat",))),
        {"chat": _MINI, "embed": _EMBED},
        caching=(Caching(FIRST_DAY, 1_536, 0.4),),
        prompts=(Prompt(FIRST_DAY, "v3"), Prompt(date(2026, 8, 24), "v4")),
        tenants=("direct", "broker-hansa", "broker-elbe", "corporate"),
    ),
    System(
        "document-intake",
        "Document Intake",
        "Operations",
        "Svea Petersen",
        2,
        "aws.bedrock",
        "doc-intake-worker",
        "444455556666",
        68,
        _EVERY_DAY,
        (4, 20),
        ((0.6, ("extract",)), (0.27, ("classify",)), (0.1, ("classify", "extract")), (0.03, ("classify", "extract", "extract"))),
        {"extract": _BEDROCK_HAIKU, "classify": _NOVA},
        caching=(Caching(FIRST_DAY, 5_120, 0.5, 0.08),),
        night_batch=5,
    ),
    System(
        "marketing-drafts",
        "Marketing Drafts",
        "Growth",
        "Ilka Sommer",
        3,
        "openai",
        "mkt-drafts",
        "proj_marketing",
        38,
        _OFFICE,
        (7, 17),
        ((0.94, ("draft",)), (0.06, ("draft", "draft"))),
        {"draft": Model("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o", 1_600, 900, stream_share=0.35)},
        caching=(Caching(FIRST_DAY, 1_152, 0.15),),
        prompts=(Prompt(FIRST_DAY, "v1"), Prompt(date(2026, 9, 1), "v2")),
        no_usage_share=0.08,
        abort_share=0.004,
    ),
)
SYSTEM = {system.system_id: system for system in SYSTEMS}
PROVIDERS = ("openai", "anthropic", "aws.bedrock")

EVENTS = (
    Event("errors", "document-intake", datetime(2026, 8, 18, 8, 10, tzinfo=UTC), datetime(2026, 8, 18, 11, 40, tzinfo=UTC), 0.7),
    Event(
        "retries", "contact-centre-assist", datetime(2026, 9, 9, 9, 30, tzinfo=UTC), datetime(2026, 9, 9, 12, 30, tzinfo=UTC), 0.9, (12, 20)
    ),
)
# The collector lost a day of this system; the provider billed it all the same.
MISSING_TRACES = {("claims-copilot", date(2026, 8, 12))}
# A project that nobody registered: no traces, one model that is on no list.
SHADOW_PROJECT = "proj_growth_experiments"
SHADOW_MODEL = ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini")
SHADOW_FROM = date(2026, 7, 20)
WEB_SEARCH_PROJECT = "proj_policy_search"
# AWS books a call this long after it ended, so that the last minutes of a day are billed on the next.
METERING_LAG_S = {"openai": 0, "anthropic": 0, "aws.bedrock": 240}
FAILURE_SHARE = 0.013
FAILURE_KINDS = (("rate_limit", 0.45), ("timeout", 0.25), ("bad_request", 0.2), ("server_error", 0.1))
GROWTH_PER_MONTH = 0.03
