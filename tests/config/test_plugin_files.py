"""Plugins that are one file of a project."""

# ruff: noqa: E501 - a mistake and what is said of it read best on one line

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from signals_core import ConfigError, Runner
from signals_core.config import load, registry_of

SOURCE = '''
from __future__ import annotations

from collections.abc import Iterator
from attrs import define
from signals_core import Request, Row, Source, hookimpl

@define
class Answers(Source):
    """Always the same number."""

    value: int = 42
    """The number."""

    def read(self, request: Request) -> Iterator[Row]:
        yield {"value": self.value}

@hookimpl
def signals_register_sources(register):
    register("answers", Answers)
'''
PROJECT = """
    version: 1
    plugins:
      - ./mine.py
    sinks: {out: {type: console}}
    defaults: {sinks: [out], schedule: {interval: 1m}}
"""
COLLECTOR = """
    name: answer
    metric: {name: answer, type: GAUGE}
    source: {type: answers, config: {value: 7}}
"""
PLACE = "signals.yaml:4: plugins[0]: "


@pytest.fixture
def project(folder):
    """A project with a source of its own, and a collector that uses it."""
    folder.write(signals=PROJECT, c=COLLECTOR)
    folder.file("mine.py", SOURCE)
    return folder


def told(folder):
    """What is wrong, with the types that are installed."""
    return [str(each) for each in load([Path()]).problems]


def test_a_file_brings_types(project):
    """A file that the project names brings types, which are validated like any, and run."""
    with Runner.load() as runner:
        assert [each.value for each in runner.read("answer").metrics] == [7]
    project.write(c=COLLECTOR.replace("value: 7", "value: x, vlaue: 7"))
    assert told(project) == [
        "c.yaml:4: source.config.value: 'x' is not a whole number",
        "c.yaml:4: source.config.vlaue: is no known key (did you mean value?)",
    ]


def test_what_a_file_prints(project, capsys):
    """What a file prints when it is imported goes to standard error: standard output is data."""
    project.file("mine.py", SOURCE + "print('hello', 42, sep='-')\n")
    with Runner.load() as runner:
        assert [each.value for each in runner.read("answer").metrics] == [7]
    assert capsys.readouterr() == ("", "hello-42\n")


def test_paths_are_relative_to_the_project(project, monkeypatch):
    """A path is relative to the project file, wherever it is loaded from, and may lead upward."""
    project.file("lib/theirs.py", SOURCE.replace('"answers"', '"theirs"'))
    project.file("shop/mine.py", SOURCE)
    project.file("shop/signals.yaml", PROJECT.replace("./mine.py", "../lib/theirs.py"))
    project.file("shop/c.yaml", COLLECTOR.replace("answers", "theirs"))
    assert Runner.load("shop")["answer"].source.value == 7
    monkeypatch.chdir(project.path / "lib")
    assert Runner.load("../shop")["answer"].source.value == 7
    provider = registry_of([Path("../shop")]).types["source", "theirs"].provider
    assert provider == "theirs.py"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (None, "mine.py: cannot be read: No such file or directory (paths are relative to the project file)"),
        ("\n\nimport nowhere_at_all\n", "mine.py:3: its import failed: ModuleNotFoundError: No module named 'nowhere_at_all' (install it; a file beside this one is not found: make a distribution of the two)"),
        ("\nx = 1 / 0\n", "mine.py:2: its import failed: ZeroDivisionError: division by zero (mend it)"),
        ("def f():\n    return 1 / 0\nf()\n", "mine.py:2: its import failed: ZeroDivisionError: division by zero (mend it)"),
        ("\n\ndef f(:\n", "mine.py:3: its import failed: SyntaxError: invalid syntax (mine.py, line 3) (mend it)"),
        ("import sys\nsys.exit(3)", "mine.py:2: its import failed: SystemExit: 3 (mend it)"),
        ("x = 1", "mine.py: it has no hook (decorate signals_register_sources (…) with @hookimpl)"),
        (SOURCE.replace("sources(reg", "source(reg"), "mine.py:18: there is no hook signals_register_source (did you mean signals_register_sources?)"),
        (SOURCE.replace("(register)", "(registry)"), "mine.py:18: its hook does not fit: "),
        (SOURCE.replace('"answers"', '"sqlite"'), "mine.py:20: the source type 'sqlite' is already brought by signals-core 0.1.0.dev0 (register it under another name)"),
        (SOURCE.replace('"answers"', "7"), 'mine.py:20: 7 is no name for a source type (register("name", Class))'),
        (SOURCE.replace("@define\n", "\n"), "mine.py:20: the class Answers is not decorated (put attrs.define above it)"),
        (SOURCE.replace("def read", "def reed"), "mine.py:20: Answers does not define read() (add read(self, request))"),
        (SOURCE.replace("value: int", "value: set"), "mine.py:20: the field value of Answers has the type set (a configuration field may be: "),
        (SOURCE.replace('register("ans', 'x = 1 / 0; register("ans'), "mine.py:20: its hook failed: ZeroDivisionError: division by zero (mend it)"),
    ],
)  # fmt: skip
def test_mistakes(project, source, problem):
    """What is wrong with a file is one line: where it is named, where it is, and what would do."""
    (project.path / "mine.py").unlink()
    if source is not None:
        (project.path / "mine.py").write_text(source)
    shown = str(project.path / "mine.py")
    (line,) = [each.replace(shown, "mine.py") for each in told(project) if each.startswith(PLACE)]
    assert line.startswith(PLACE + problem), line
    broken = registry_of([]).broken
    assert [(each.name, each.provider) for each in broken][:1] in (
        [("mine", "mine.py")],
        [("answers", "mine.py")],
    )


def test_a_class_that_is_registered_as_text(project):
    """A file is no module that can be imported by name, and what is said then helps."""
    (project.path / "mine.py").write_text(SOURCE.replace(", Answers)", ', "mine:Answers")'))
    (line,) = told(project)
    assert line.endswith("No module named 'mine' (register the class itself, not its name)")


def test_one_mistake_is_one_line(project):
    """A type that a broken file may have brought is not said to be missing as well."""
    (project.path / "mine.py").write_text("import nowhere_at_all")
    (line,) = told(project)
    assert line.startswith(f"{PLACE}mine.py:1: its import failed: ModuleNotFoundError: ")
    with pytest.raises(ConfigError, match=r"mine\.py:1"):
        Runner.load()


def test_one_does_not_hide_another(project):
    """Of several files the broken are told, all of them, and the others bring their types."""
    project.write(signals=PROJECT.replace("./mine.py", "./a.py\n      - ./mine.py\n      - b.py"))
    project.file("b.py", "1 / 0")
    loaded = load([Path()])
    assert [str(each).split(": ")[1:3] for each in loaded.problems] == [
        ["plugins[0]", "a.py"],
        ["plugins[2]", "b.py:1"],
    ]
    assert [each.collector.name for each in loaded.collectors] == ["answer"]
    assert loaded.of_all == loaded.problems


def test_projects_do_not_clash(folder):
    """Two projects may each have a file of the same name with a type of the same name."""
    for name, value in (("a", "1"), ("b", "2")):
        folder.file(f"{name}/signals.yaml", PROJECT)
        folder.file(f"{name}/c.yaml", COLLECTOR.replace(", config: {value: 7}", ""))
        folder.file(f"{name}/mine.py", SOURCE.replace("42", value))
    with Runner.load("a") as one, Runner.load("b") as other:
        read = [each.read("answer").metrics[0].value for each in (one, other, one)]
    assert read == [1, 2, 1]
    assert type(one["answer"].source) is not type(other["answer"].source)


def test_a_changed_file_is_taken_up(project):
    """A file is imported once, and again when it has changed, however soon."""
    same = [type(Runner.load()["answer"].source) for _ in range(2)]
    assert same[0] is same[1]
    (project.path / "mine.py").write_text(SOURCE.replace("42", "43"))
    project.write(c=COLLECTOR.replace(", config: {value: 7}", ""))
    assert Runner.load()["answer"].source.value == 43


def test_nothing_is_left_behind(project):
    """Importing a file writes nothing beside it, and makes no name that others could import."""
    before = sys.path[:]
    assert not told(project)
    assert sorted(each.name for each in project.path.iterdir()) == [
        "c.yaml", "mine.py", "signals.yaml",
    ]  # fmt: skip
    assert (sys.path, "mine" in sys.modules) == (before, False)


def test_only_a_project_has_files_imported(project):
    """A file is imported only where the project names it."""
    project.file("mine.py", "open('was-here', 'w').close()" + SOURCE)
    project.write(signals="version: 1")
    assert "no plugin brings the source type 'answers'" in "\n".join(told(project))
    assert not (project.path / "was-here").exists()


def test_a_path_with_a_reference(project, monkeypatch):
    """A path may hold a reference; one that leads nowhere is a warning, and nothing follows."""
    project.write(signals=PROJECT.replace("./mine.py", "${PLUGIN_OF_MINE}"))
    unset = "the environment variable PLUGIN_OF_MINE is not set"
    assert told(project) == [f"{PLACE}{unset} (set it, or give a default as in ${{NAME:-default}})"]
    monkeypatch.setenv("PLUGIN_OF_MINE", "mine.py")
    assert told(project) == []
