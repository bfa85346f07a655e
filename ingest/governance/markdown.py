"""Markdown as records are kept in it: YAML front matter, headings with what stands under them, no code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ingest.table import YamlText

FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
# Code and comments show how a document may look: what stands there is not said.
ASIDE = re.compile(r"^[ \t]*(`{3,}|~{3,}).*?^[ \t]*\1[`~]*[ \t]*$|<!--.*?-->", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$|^(\S[^\n]*)\n(=+|-{3,})[ \t]*$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)[^)]*\)")


@dataclass(frozen=True)
class Section:
    """A heading, its level, and the text up to the next heading of any level."""

    level: int
    heading: str
    text: str


@dataclass(frozen=True)
class Page:
    """A Markdown file: `meta` is its front matter, `opening` all before the first heading below the title."""

    meta: Mapping[str, Any]
    opening: str
    sections: tuple[Section, ...]

    @property
    def title(self) -> str | None:
        return next((section.heading for section in self.sections if section.level == 1), None)


def parse(content: bytes) -> Page:
    """The page, with empty front matter where there is none or it is no YAML."""
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    meta: Mapping[str, Any] = {}
    body = text
    if found := FRONT_MATTER.match(text):
        meta, body = _meta(found[1]), text[found.end() :]
    # Blanked rather than cut, line by line: the lines around code never become one paragraph.
    body = ASIDE.sub(lambda aside: "\n" * aside[0].count("\n"), body)
    headings = list(HEADING.finditer(body))
    ends = [heading.start() for heading in headings[1:]] + [len(body)]
    sections = tuple(
        Section(_level(heading), (heading[2] or heading[3] or "").strip(), body[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    )
    below = next((heading.start() for heading in headings if _level(heading) > 1), len(body))
    return Page(meta, body[:below], sections)


def plain(text: str) -> str:
    """Text without links, emphasis and code marks."""
    return re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", LINK.sub(r"\1", text)).strip()


def _level(heading: re.Match[str]) -> int:
    if heading[1]:
        return len(heading[1])
    return 1 if heading[4].startswith("=") else 2


def _meta(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.load(text, Loader=YamlText)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}
