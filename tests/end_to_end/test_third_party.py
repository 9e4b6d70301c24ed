"""A stranger's distribution beside signals: a folder with metadata and an entry point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.command import Signals

Write = Callable[[str, str], Path]

ANSWERS = '''
from collections.abc import Iterator
from attrs import define
from signals_core import Request, Row, Source, hookimpl

@define
class Answers(Source):
    """Always the same number."""
    value: int = 42

    def read(self, request: Request) -> Iterator[Row]:
        yield {"value": self.value, "about": "everything"}

@hookimpl
def signals_register_sources(register):
    register("answers", Answers)
'''

COLLECTOR = """
name: answers
metric: {name: answer, type: GAUGE}
schedule: {interval: 1m}
source: {type: answers, config: {value: 7}}
sinks: {console: {type: console}}
"""


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that puts a distribution of one module into a folder for PYTHONPATH."""
    site = tmp_path / "site"

    def install_module(name: str, source: str) -> Path:
        site.mkdir(exist_ok=True)
        (site / f"{name}.py").write_text(source)
        metadata = site / f"{name}-0.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (metadata / "entry_points.txt").write_text(f"[signals]\n{name} = {name}\n")
        return site

    return install_module


def test_is_discovered_and_used(
    signals: Signals, write: Write, install: Callable[[str, str], Path]
) -> None:
    """A third party's source is discovered by its entry point, validated, and used."""
    site = install("answers", ANSWERS)
    write("answers.yaml", COLLECTOR)
    done = signals("config", "invoke", "-c", ".", env={"PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stderr
    metric = json.loads(done.stdout)
    assert (metric["value"], metric["tags"]) == (7, {"about": "everything"})
    write("answers.yaml", COLLECTOR.replace("value: 7", "value: 3.7, valeu: 1"))
    wrong = signals("config", "validate", ".", env={"PYTHONPATH": str(site)})
    assert wrong.returncode == 2
    assert sorted(wrong.stderr.splitlines()[:2]) == [
        "answers.yaml:5: source.config.valeu: is no known key (did you mean value?)",
        "answers.yaml:5: source.config.value: '3.7' is not a whole number",
    ]


def test_broken_ones_are_listed_and_nothing_else_suffers(
    signals: Signals, write: Write, install: Callable[[str, str], Path]
) -> None:
    """Plugins that fail to import, misspell a hook or take a used name are listed with a remedy."""
    install("answers", ANSWERS)
    install("crash", "import no_such_module")
    install("misspelt", ANSWERS.replace("signals_register_sources", "signals_register_source"))
    site = install("thief", ANSWERS.replace('"answers"', '"postgres"'))
    listed = signals("plugins", env={"PYTHONPATH": str(site)})
    assert listed.returncode == 0
    assert [line for line in listed.stdout.splitlines() if line.startswith("broken")] == [
        (
            "broken: crash of crash 0.1: its import failed: ModuleNotFoundError: No module named "
            "'no_such_module' (reinstall or upgrade crash 0.1)"
        ),
        (
            "broken: misspelt of misspelt 0.1: there is no hook signals_register_source "
            "(did you mean signals_register_sources?)"
        ),
        (
            "broken: thief of thief 0.1: the source type 'postgres' is already brought by "
            "signals-postgres 0.1.0.dev0 (uninstall one of the two, or ask its author to rename "
            "the type)"
        ),
    ]
    write("answers.yaml", COLLECTOR)
    done = signals("config", "invoke", "-c", ".", env={"PYTHONPATH": str(site)})
    assert (done.returncode, json.loads(done.stdout)["value"]) == (0, 7)


def test_where_a_broken_one_failed(signals: Signals, install: Callable[[str, str], Path]) -> None:
    """`plugins -vv` shows the traceback of an import that failed, and without it nobody's."""
    site = install("crash", "import no_such_module")
    assert signals("plugins", env={"PYTHONPATH": str(site)}).stderr == ""
    loud = signals("plugins", "-vv", env={"PYTHONPATH": str(site)})
    assert 'crash.py", line 1' in loud.stderr
    listed = signals("plugins", "--json", env={"PYTHONPATH": str(site)})
    (broken,) = json.loads(listed.stdout)["broken"]
    assert sorted(broken) == ["name", "place", "provider", "reason", "remedy"]


def test_a_type_of_a_broken_one(
    signals: Signals, write: Write, install: Callable[[str, str], Path]
) -> None:
    """A type that is not there may be that of a broken plugin: where to look is said."""
    site = install("crash", "import no_such_module")
    write("answers.yaml", COLLECTOR)
    done = signals("config", "validate", ".", env={"PYTHONPATH": str(site)})
    assert done.returncode == 2
    assert "; signals plugins says what is broken)" in done.stderr


def test_one_that_exits(
    signals: Signals, write: Write, install: Callable[[str, str], Path]
) -> None:
    """A plugin that ends the process, or raises what nobody should, is one line like any other."""
    site = install("answers", ANSWERS.replace("yield {", "raise SystemExit(9)\n        yield {"))
    write("answers.yaml", COLLECTOR)
    done = signals("config", "invoke", "-c", ".", env={"PYTHONPATH": str(site)})
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "answers: SystemExit: 9"


def test_missing_package_is_named(signals: Signals, write: Write) -> None:
    """A type that nobody brings is told, with the nearest known one."""
    write("answers.yaml", COLLECTOR.replace("type: answers", "type: postgress"))
    done = signals("config", "validate", ".")
    assert done.returncode == 2
    assert "no plugin brings the source type 'postgress' (did you mean postgres?)" in done.stderr


def test_traceback_for_the_author(
    signals: Signals, write: Write, install: Callable[[str, str], Path]
) -> None:
    """A plugin's bug is one line; -vv adds the traceback, with secrets masked."""
    source = ANSWERS.replace("value: int = 42", "value: int\n    token: Secret").replace(
        'yield {"value": self.value, "about": "everything"}', "raise KeyError(self.token.reveal())"
    )
    site = install("answers", source.replace("Source, hookimpl", "Secret, Source, hookimpl"))
    write("answers.yaml", COLLECTOR.replace("value: 7", "value: 7, token: hunter2-and-more"))
    done = signals("config", "invoke", "-c", ".", env={"PYTHONPATH": str(site)})
    assert done.returncode == 1
    assert done.stderr == ("answers: KeyError: '***'\nanswers: -vv shows where it came from\n")
    loud = signals("config", "invoke", "-vv", "-c", ".", env={"PYTHONPATH": str(site)})
    assert "Traceback" in loud.stderr
    assert "answers.py" in loud.stderr
    assert "hunter2-and-more" not in loud.stderr


def test_a_file_of_the_project(signals: Signals, write: Write) -> None:
    """A file that the project names needs no installation; commands show its types, and where."""
    write("signals.yaml", "version: 1\nplugins: [./mine.py]\n")
    write("answers.yaml", COLLECTOR)
    write("mine.py", ANSWERS)
    assert signals("config", "validate").returncode == 0
    assert json.loads(signals("config", "invoke").stdout)["value"] == 7
    listed = signals("plugins").stdout.splitlines()
    assert [line.split("\t") for line in listed if "mine.py" in line] == [
        ["answers", "source", "mine.py"]
    ]
    assert signals("plugins", "answers").stdout.startswith(
        "answers: a source of mine.py\n\nAlways the same number.\n\nfields:\n  max"
    )
    write("mine.py", ANSWERS.replace("register_sources", "register_source"))
    broken = "mine.py:14: there is no hook signals_register_source"
    assert f"broken: mine of {broken}" in signals("plugins").stdout
    wrong = signals("run")
    assert wrong.returncode == 2
    assert f"signals.yaml:2: plugins[0]: {broken} (did you mean " in wrong.stderr
