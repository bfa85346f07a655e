"""The colours of the app by mode, what a status looks like, and what a provider is called and coloured."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from metrics.kpi import Status

Mode = Literal["light", "dark"]
MODES: tuple[Mode, ...] = ("light", "dark")
FONT = "IBM Plex Sans, sans-serif"
TINTS = (1.0, 0.72, 0.50, 0.35)  # of a provider's colour for its models, largest first; the last for all that remain


class Pair(NamedTuple):
    """A foreground and the chip background it stands on."""

    ink: str
    fill: str


@dataclass(frozen=True)
class Palette:
    """Every colour of one mode except those of providers; `shades` run from worst to best."""

    page: str
    text: str
    muted: str
    accent: str
    border: str
    grid: str
    axis: str
    context: str
    bar: str
    anomaly: str
    code: str
    shades: tuple[str, str, str]
    blue: Pair
    orange: Pair
    red: Pair
    gray: Pair


PALETTES: dict[Mode, Palette] = {
    "light": Palette(
        page="#FFFFFF",
        text="#111827",
        muted="#5A6472",
        accent="#1D5FBF",
        border="#E3E7EC",
        grid="#EDF0F3",
        axis="#C5CCD5",
        context="#B4BCC7",
        bar="#8A96A6",
        anomaly="#C96A0A",
        code="#F4F6F8",
        shades=("#CBD2DB", "#DDE2E8", "#EDF0F3"),
        blue=Pair("#1D5FBF", "#EAF1FC"),
        orange=Pair("#A85300", "#FDF1E3"),
        red=Pair("#A3182B", "#FBEAEC"),
        gray=Pair("#5A6472", "#F1F3F6"),
    ),
    "dark": Palette(
        page="#0F1318",
        text="#E6EAF0",
        muted="#A3ADBA",
        accent="#7FB2FF",
        border="#29313C",
        grid="#1E252E",
        axis="#3D4754",
        context="#566170",
        bar="#7F8B9A",
        anomaly="#F0A552",
        code="#1B212A",
        shades=("#3A4450", "#2C343F", "#20262F"),
        blue=Pair("#7FB2FF", "#16263D"),
        orange=Pair("#F0A552", "#33240F"),
        red=Pair("#FF8A93", "#3B171C"),
        gray=Pair("#A3ADBA", "#20262F"),
    ),
}


@dataclass(frozen=True)
class StatusLook:
    """A status is always a shape and a word; the colour only repeats them."""

    word: str
    glyph: str
    symbol: str  # the same shape as a plotly marker
    colour: Literal["blue", "orange", "red", "gray"]

    def ink(self, mode: Mode) -> str:
        pair: Pair = getattr(PALETTES[mode], self.colour)
        return pair.ink


STATUSES: dict[Status, StatusLook] = {
    "on target": StatusLook("On target", "●", "circle", "blue"),
    "at risk": StatusLook("At risk", "▲", "triangle-up", "orange"),
    "off target": StatusLook("Off target", "■", "square", "red"),
    "not measured": StatusLook("Not measured", "○", "circle-open-dot", "gray"),
    "none": StatusLook("No target", "–", "circle-open", "gray"),
}


@dataclass(frozen=True)
class ProviderLook:
    """A provider's name for readers and its colour in both modes."""

    name: str
    light: str
    dark: str

    def colour(self, mode: Mode) -> str:
        return self.light if mode == "light" else self.dark


_AZURE, _GOOGLE, _OWN, _OTHER = ("#1F4E8C", "#4A78CC"), ("#4A9BD9", "#8CCBF5"), ("#7A2B5E", "#F2B5D8"), ("#88919F", "#7C8694")

# In the order in which they are stacked, from the top. A provider keeps its colour whatever its rank.
PROVIDERS: dict[str, ProviderLook] = {
    "anthropic": ProviderLook("Anthropic", "#6B4FBB", "#BBA6F8"),
    "openai": ProviderLook("OpenAI", "#12877A", "#3FBFAE"),
    "azure.ai.openai": ProviderLook("Azure OpenAI", *_AZURE),
    "azure.ai.inference": ProviderLook("Azure AI", *_AZURE),
    "aws.bedrock": ProviderLook("AWS Bedrock", "#B98A00", "#E0B83C"),
    "gcp.vertex_ai": ProviderLook("Google Vertex AI", *_GOOGLE),
    "gcp.gemini": ProviderLook("Google Gemini", *_GOOGLE),
    "gcp.gen_ai": ProviderLook("Google AI", *_GOOGLE),
    "vllm": ProviderLook("vLLM, self-hosted", *_OWN),
    "ollama": ProviderLook("Ollama, self-hosted", *_OWN),
    "cohere": ProviderLook("Cohere", *_OTHER),
    "deepseek": ProviderLook("DeepSeek", *_OTHER),
    "fireworks_ai": ProviderLook("Fireworks AI", *_OTHER),
    "groq": ProviderLook("Groq", *_OTHER),
    "huggingface": ProviderLook("Hugging Face", *_OTHER),
    "ibm.watsonx.ai": ProviderLook("IBM watsonx", *_OTHER),
    "mistral_ai": ProviderLook("Mistral AI", *_OTHER),
    "moonshot_ai": ProviderLook("Moonshot AI", *_OTHER),
    "openrouter": ProviderLook("OpenRouter", *_OTHER),
    "perplexity": ProviderLook("Perplexity", *_OTHER),
    "together_ai": ProviderLook("Together AI", *_OTHER),
    "x_ai": ProviderLook("xAI", *_OTHER),
}


def provider(name: str | None) -> ProviderLook:
    """How a provider is shown; one that is not listed keeps its own name, in the colour for others."""
    return PROVIDERS.get(name or "", ProviderLook(name or "Unknown provider", *_OTHER))


def blend(colour: str, share: float, ground: str) -> str:
    """`share` of a colour over an opaque ground, as one opaque colour."""
    mixed = (round(share * top + (1 - share) * below) for top, below in zip(_rgb(colour), _rgb(ground), strict=True))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def tint(colour: str, rank: int, mode: Mode) -> str:
    """The colour of a provider's model by its rank in cost, from 0."""
    return blend(colour, TINTS[min(rank, len(TINTS) - 1)], PALETTES[mode].page)


def translucent(colour: str, share: float) -> str:
    """The colour for a band that must let what lies under it through."""
    return "rgba({},{},{},{})".format(*_rgb(colour), share)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
