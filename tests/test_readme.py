"""The README says what is true: its tables, its commands, its links."""

import re

from typer.testing import CliRunner

from app.cli import cli
from tests.readme import README, with_tables

TEXT = README.read_text("utf-8")


def test_the_generated_tables_are_what_the_code_has() -> None:
    assert with_tables(TEXT) == TEXT, "run python -m tests.readme"


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"spanledger ([a-z]+)", TEXT))
    help_text = CliRunner().invoke(cli, ["--help"]).output
    assert named
    assert all(name in help_text for name in named)


def test_every_file_that_the_readme_links_or_names_exists() -> None:
    root = README.parent
    named = set(re.findall(r"\]\((?!http)([^)]+)\)", TEXT)) | set(re.findall(r"`((?:app|ingest|metrics|sample_data|tests)/[\w/.]*)`", TEXT))
    assert named
    assert not [name for name in named if not (root / name).exists()]
