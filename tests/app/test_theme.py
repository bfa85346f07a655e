"""Colours: text is readable in both modes, states and providers can be told apart, and the configuration says the same."""

import tomllib
from importlib.resources import files

import pytest

from app import theme
from app.theme import MODES, PALETTES, PROVIDERS, STATUSES, Mode

TEXT, GRAPHIC = 4.5, 3.0  # WCAG 2.2: least contrast of small text, and of what a reader must see
CONFIG = tomllib.loads((files("app") / ".streamlit" / "config.toml").read_text("utf-8"))


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink: str, ground: str) -> float:
    dark, light = sorted((luminance(ink), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_guideline_says() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_text_is_readable_on_the_page(mode: Mode) -> None:
    palette = PALETTES[mode]
    inks = {name: getattr(palette, name) for name in ("text", "muted", "accent")}
    inks |= {name: getattr(palette, name).ink for name in ("blue", "orange", "red", "gray")}
    assert {name: round(contrast(ink, palette.page), 2) for name, ink in inks.items() if contrast(ink, palette.page) < TEXT} == {}
    assert contrast(palette.text, palette.code) >= TEXT
    hovered = cards_hover(mode)
    assert min(contrast(palette.muted, hovered), contrast(palette.text, hovered)) >= TEXT


def cards_hover(mode: Mode) -> str:
    """The ground of a row under the pointer."""
    from app import cards

    return cards._colours(PALETTES[mode])["hover"]


@pytest.mark.parametrize("mode", MODES)
def test_text_is_readable_on_its_chip(mode: Mode) -> None:
    for look in STATUSES.values():
        pair = getattr(PALETTES[mode], look.colour)
        assert contrast(pair.ink, pair.fill) >= TEXT
        assert look.ink(mode) == pair.ink


@pytest.mark.parametrize("mode", MODES)
def test_captions_at_sixty_per_cent_are_readable(mode: Mode) -> None:
    palette = PALETTES[mode]
    assert contrast(theme.blend(palette.text, 0.6, palette.page), palette.page) >= TEXT


@pytest.mark.parametrize("mode", MODES)
def test_marks_are_visible_on_the_page(mode: Mode) -> None:
    palette = PALETTES[mode]
    for colour in (palette.anomaly, *(look.colour(mode) for look in PROVIDERS.values()), theme.provider("new").colour(mode)):
        assert contrast(colour, palette.page) >= GRAPHIC


def test_statuses_differ_in_word_glyph_and_symbol() -> None:
    for part in ("word", "glyph", "symbol"):
        assert len({getattr(look, part) for look in STATUSES.values()}) == len(STATUSES)


def test_a_provider_that_is_not_listed_keeps_its_own_name() -> None:
    assert theme.provider("acme").name == "acme"
    assert theme.provider(None).name == "Unknown provider"
    assert theme.provider("openai").name == "OpenAI"


def test_tints_fade_towards_the_page_and_the_last_holds_for_all_that_remain() -> None:
    for mode in MODES:
        page = PALETTES[mode].page
        shades = [theme.tint("#6B4FBB", rank, mode) for rank in range(6)]
        assert shades[0] == "#6B4FBB"
        assert shades[3] == shades[4] == shades[5]
        assert [contrast(shade, page) for shade in shades[:4]] == sorted((contrast(shade, page) for shade in shades[:4]), reverse=True)
    assert theme.blend("#000000", 0.5, "#FFFFFF") == "#808080"
    assert theme.translucent("#FF0080", 0.5) == "rgba(255,0,128,0.5)"


@pytest.mark.parametrize("mode", MODES)
def test_the_configuration_has_the_same_colours(mode: Mode) -> None:
    palette, said = PALETTES[mode], CONFIG["theme"][mode]
    assert {
        "backgroundColor": palette.page,
        "textColor": palette.text,
        "primaryColor": palette.accent,
        "linkColor": palette.accent,
        "borderColor": palette.border,
        "codeBackgroundColor": palette.code,
        "codeTextColor": palette.text,
        "orangeColor": palette.anomaly,
        **{f"{name}TextColor": getattr(palette, name).ink for name in ("blue", "orange", "red", "gray")},
        **{f"{name}BackgroundColor": getattr(palette, name).fill for name in ("blue", "orange", "red", "gray")},
    }.items() <= said.items()
    assert set(said["chartCategoricalColors"]) <= {look.colour(mode) for look in (*PROVIDERS.values(), theme.provider("new"))}


def test_fonts_are_served_from_here() -> None:
    for face in CONFIG["theme"]["fontFaces"]:
        assert (files("app") / face["url"].removeprefix("app/")).is_file()
