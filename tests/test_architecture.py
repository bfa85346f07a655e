"""The direction of imports, the size of modules, and the words of the project hold for every file."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "ingest", "metrics", "sample_data")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_in_the_direction_of_the_data(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    forbidden = {
        "ingest": ("metrics", "app", "streamlit", "plotly"),
        "metrics": ("ingest", "app", "streamlit", "plotly"),
        "sample_data": ("ingest", "metrics", "app", "genai_prices"),
        "app": (),
    }[package]
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & set(forbidden)
    if package == "app" and path.parent.name == "views":
        assert "ingest" not in roots, "pages read numbers from metrics, not rows from ingest"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence that says what it is for"
    assert text.count("\n") <= 400


def test_the_import_contracts_are_kept() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert len(contracts) == 4
    run = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    path_or_registry = re.compile("/(wo" "rk|ro" "ot|far" "m)/[a-z]|pypi" r"\.org|npmjs" r"\.org|debian" r"\.org")
    texts = [name for name in tracked if name.endswith((".py", ".md", ".toml", ".sql", ".csv", ".txt", ".css")) or name == ".ci/run"]
    assert texts
    assert not [name for name in texts if path_or_registry.search((ROOT / name).read_text("utf-8"))]
