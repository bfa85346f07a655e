"""Canonical model names: the one spelling under which traces, bills and prices of a model meet."""

import re
from functools import lru_cache

# Inference profiles of Bedrock name where a call may run before the vendor's name: us.anthropic.claude-sonnet-4-5.
ROUTING_SCOPES = {
    "global": "global",
    "regional": "regional",
    "us": "geo",
    "us-gov": "geo",
    "eu": "geo",
    "apac": "geo",
    "ap": "geo",
    "au": "geo",
    "jp": "geo",
    "in": "geo",
    "ca": "geo",
    "sa": "geo",
    "uk": "geo",
    "me": "geo",
    "af": "geo",
}

VENDORS = (
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
    "zai",
)

_ROUTING = rf"(?:{'|'.join(ROUTING_SCOPES)})\.(?=[a-z0-9-]+\.)"

# Names whose version is the model: claude-v2 and claude-instant-v1, the Titan embeddings, Nemotron Nano.
_VERSION_IS_NAME = r"(?:claude|claude-instant|titan-embed-\w+|nemotron-nano-\w+)-v\d"

# What surrounds the name, tried in this order until nothing changes; the replacement keeps what belongs to the name.
RULES = tuple(
    (re.compile(pattern), keep)
    for pattern, keep in (
        (r"^(ft:[^:]+):.*$", r"\1"),  # ft:gpt-4o-mini-2024-07-18:acme:support:Bx1
        (r"^(?!ft:)(.+?)\.ft-.*$", r"ft:\1"),  # gpt-4o-mini-2024-07-18.ft-0a1b, the same on Azure
        (r"^.*/(?=[^/])", ""),  # openai/, publishers/google/models/, arn:…/
        (rf"^{_ROUTING}", ""),  # us.  global.
        (r"^deepseek\.(?=[rv]\d)", "deepseek-"),  # deepseek.r1 is called deepseek-r1 elsewhere
        (rf"^(?:{'|'.join(VENDORS)})\.(?=[a-z])", ""),  # anthropic.  amazon.
        (r"(?<=.)@[\w.-]+$", ""),  # @20250929  @default  (Vertex)
        (rf"^(?!{_VERSION_IS_NAME})(.+)-v\d+(?::\d+)+k?$", r"\1"),  # -v1:0  -v1:0:200k
        (r"(?<=\d)-v\d+$", ""),  # claude-opus-4-6-v1
        (r"(?<=[a-z0-9])-\d:\d+$", ""),  # gpt-oss-120b-1:0
        (r"(?<=[a-z0-9]):\d+k?$", ""),  # :0  :200k
        (r"(?<=[a-z0-9])-20\d{6}$", ""),  # -20250929
        (r"(?<=[a-z0-9])-20\d\d-\d\d-\d\d$", ""),  # -2024-08-06
        (r"(?<=[a-z0-9])-(?:preview|exp)-\d\d-(?:\d\d|20\d\d)$", ""),  # -preview-09-2025: a dated snapshot of the model
        (r"(?<=[a-z0-9])-(?:0[1-9]|1[0-2])-20\d\d$", ""),  # -08-2024
        (r"(?<=[a-z0-9])-(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$", ""),  # -0125: month and day
        (r"(?<=[a-z0-9])-2[3-9](?:0[1-9]|1[0-2])$", ""),  # -2411: year and month
        (r"^(gemini-\d.*)-00\d$", r"\1"),  # gemini-1.5-pro-002
    )
)

# Azure deploys under names without the dot.
PROVIDER_RULES = {
    "azure.ai.openai": (re.compile(r"^gpt-35-"), "gpt-3.5-"),
    "azure.ai.inference": (re.compile(r"^gpt-35-"), "gpt-3.5-"),
}


@lru_cache(maxsize=20_000)
def canonical_model(name: str, provider: str | None) -> str:
    """The model's name in lower case without region and vendor prefix and without date and version suffix."""
    model = name.lower()
    while (shorter := _strip_once(model)) != model:
        model = shorter
    pattern, replacement = PROVIDER_RULES.get(provider or "", (None, ""))
    return pattern.sub(replacement, model) if pattern else model


@lru_cache(maxsize=20_000)
def region_scope(name: str) -> str:
    """Where a call under this model name may run: global, geo, regional, or any when the name does not say."""
    routing = re.search(rf"(?:^|/){_ROUTING}", name.strip().lower())
    return ROUTING_SCOPES[routing.group().strip("/.")] if routing else "any"


def _strip_once(model: str) -> str:
    for pattern, keep in RULES:
        model = pattern.sub(keep, model)
    return model.strip()
