"""A third party's distribution, as it would be published: `examples/signals-helpdesk`."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

import signals_core
from parts.command import SIGNALS, printed
from signals_core.testing import __all__ as kit

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "signals-helpdesk"
EDITABLE = ROOT / "tests" / "parts" / "editable.py"
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


@pytest.fixture
def run(tmp_path: Path):
    """Run a program in an environment that has the example installed."""
    site = tmp_path / "site"
    site.mkdir()

    def run(*command: str, folder: Path = EXAMPLE) -> str:
        env = {"PYTHONPATH": str(site), "HELPDESK_TOKEN": "x"}
        return printed(folder, sys.executable, "-B", *command, **env)

    run(str(EDITABLE), "-e", str(EXAMPLE))
    return run


def lines_of_code(text: str) -> int:
    """Count the lines of a module that hold code, apart from imports and docstrings."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                left_out |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {each.start[0] for each in tokens if each.type not in _NO_CODE and each.string}
    return len(code - left_out)


def test_how_much_it_takes() -> None:
    """The source is 25 lines, not counting imports, docstrings, comments and blank lines."""
    text = (EXAMPLE / "src" / "signals_helpdesk" / "source.py").read_text()
    assert lines_of_code(text) == 25
    assert "is 25 lines of Python" in (EXAMPLE / "README.md").read_text()


def test_it_keeps_its_promises(run) -> None:
    """Its own tests, on the conformance kit and a real HTTP server, pass, and none is skipped."""
    said = run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert re.search(r"^\d\d passed", said, re.MULTILINE), said
    assert "skipped" not in said


def test_types_and_style(run, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It passes mypy's strict mode and ruff by its own configuration."""
    run("-m", "mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "types"))
    run("-m", "ruff", "check", "--no-cache")
    run("-m", "ruff", "format", "--check", "--no-cache")


def test_public_names_only() -> None:
    """It imports public names, as anybody can, and admits the version in the tree."""
    public = {"signals_core": signals_core.__all__, "signals_core.testing": kit}
    for file in EXAMPLE.glob("*/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("signals_core") for alias in node.names)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("signals_core"):
                assert {alias.name for alias in node.names} <= set(public[str(node.module)])
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    assert f"signals-core>={signals_core.__version__}" in project["dependencies"]


def test_it_is_a_type_like_any_other(run, tmp_path: Path) -> None:
    """It is discovered, described, and the collector in its README has no mistake."""
    assert run("-m", "signals_core", "plugins", "helpdesk").startswith(
        "helpdesk: a source of signals-helpdesk 1.0.0\n"
    )
    (shown,) = re.findall(r"```yaml\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    (tmp_path / "desk.yaml").write_text(shown)
    run(*SIGNALS[1:], "config", "validate", "--strict", "desk.yaml", folder=tmp_path)
