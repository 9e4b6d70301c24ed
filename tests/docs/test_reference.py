"""The reference names what there is, all of it and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import get_args

import attrs
import click
import pytest

import signals_core
from parts.messages import events, messages, says_something, variables
from parts.types_page import types_page
from signals_core.cli.main import signals
from signals_core.collector import Collector, MetricDefinition, WindowPolicy
from signals_core.config.document import _RESERVED, COLLECTOR_KEYS
from signals_core.config.project import PROJECT_KEYS
from signals_core.errors import SignalsError
from signals_core.findings import CollectorState, SinkState
from signals_core.metric import NAMESPACE, Metric, netstring
from signals_core.plugin import Hooks
from signals_core.registry import Registry
from signals_core.store import Outcome

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/[!_]*.md"))]
README, CONFIGURATION, COMMANDS, METRICS, PLUGINS, TYPES, RUNNING, MESSAGES, LOGS, ENVIRONMENT = (
    ROOT / path
    for path in (
        "README.md docs/reference/configuration.md docs/reference/command-line.md "
        "docs/reference/metrics.md docs/reference/plugins.md docs/reference/types.md "
        "docs/how-to/running.md docs/reference/messages.md docs/reference/logs.md "
        "docs/reference/environment.md"
    ).split()
)

_CODE = re.compile(r"`([^`]+)`")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def section(document: Path, heading: str) -> str:
    """Return the text under a heading, up to the next one."""
    text = _FENCED.sub("", document.read_text(encoding="utf-8"))
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document.name} has no section {heading}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without their heads."""
    for table in _TABLE.findall(text):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_codes(text: str) -> list[str]:
    """Return what stands in code in the first cells of tables."""
    return [code for row in rows(text) for code in _CODE.findall(row[0])]


def test_keys_of_a_collector() -> None:
    """Each key of a collector has its row, and each row is a key."""
    assert sorted(first_codes(section(CONFIGURATION, "A collector"))) == sorted(COLLECTOR_KEYS)


@pytest.mark.parametrize(("key", "of"), [("metric", MetricDefinition), ("window", WindowPolicy)])
def test_keys_below(key: str, of: type) -> None:
    """Each key of a metric definition and of a window has its row, with its default."""
    documented = {row[0]: row[1] for row in rows(section(CONFIGURATION, f"`{key}`"))}
    fields = {f"`{key}.{field.name}`": field.default for field in attrs.fields(of)}
    assert documented.keys() - {"`:window_start`, `:window_end`"} >= fields.keys()
    assert {name for name in documented if name.startswith(f"`{key}.")} == fields.keys()
    required = {name for name, default in documented.items() if default == "required"}
    assert required == {name for name, default in fields.items() if default is attrs.NOTHING}


def test_defaults_of_a_collector() -> None:
    """The limits of a read that are documented are those that hold."""
    documented = {row[0]: row[1] for row in rows(section(CONFIGURATION, "A collector"))}
    fields = attrs.fields_dict(Collector)
    assert documented["`timeout`"] == f"`{fields['timeout'].default.seconds}s`"
    assert documented["`max_rows`"] == f"`{fields['max_rows'].default}`"


def test_keys_of_the_project_file() -> None:
    """Each key of the project file has its row, and each row is a key."""
    assert sorted(first_codes(section(CONFIGURATION, "The project file"))) == sorted(PROJECT_KEYS)


def test_reserved_keys() -> None:
    """The reserved keys are listed."""
    text = section(CONFIGURATION, "Mistakes").partition("Reserved for later versions")[2]
    assert sorted(_CODE.findall(text)) == sorted([*_RESERVED, "window.partial"])


def test_types() -> None:
    """The page about types is what the installed types say of themselves."""
    page = types_page()
    if "SIGNALS_WRITE_DOCS" in os.environ:
        TYPES.write_text(page, encoding="utf-8")
    assert TYPES.read_text(encoding="utf-8") == page


def test_types_of_the_distributions() -> None:
    """The README says which distribution brings which type."""
    documented = {}
    for row in rows(section(README, "Install")):
        distribution = _CODE.findall(row[0])[0]
        for kind, names in re.findall(r"(source|sink|schedule)s? ((?:`\w+`(?:, )?)+)", row[1]):
            documented |= {(kind, name): distribution for name in _CODE.findall(names)}
    registry = Registry.discover()
    assert documented == {
        key: entry.provider.partition(" ")[0] for key, entry in registry.types.items()
    }


def commands() -> dict[str, click.Command]:
    """Return every command by what is typed."""
    context = click.Context(signals)
    found: dict[str, click.Command] = {}
    for name in signals.list_commands(context):
        command = signals.get_command(context, name)
        if isinstance(command, click.Group):
            inner = command.commands.items()
            found |= {f"signals {name} {below}": each for below, each in inner}
        elif command is not None:
            found[f"signals {name}"] = command
    return found


def test_commands() -> None:
    """Each command has its section, and each such section is a command."""
    headings = _HEADING.findall(_FENCED.sub("", COMMANDS.read_text(encoding="utf-8")))
    assert [each for each in headings if each.startswith("signals ")] == list(commands())


@pytest.mark.parametrize("name", commands())
def test_options(name: str) -> None:
    """A command's synopsis has its options and its argument, and each option is explained."""
    text = section(COMMANDS, name)
    synopsis = _CODE.findall(text)[0].removeprefix(name)
    explained = _options_in(*first_codes(section(COMMANDS, "Options that commands share") + text))
    options = [each for each in commands()[name].params if isinstance(each, click.Option)]
    assert _options_in(synopsis) == {option.opts[0] for option in options}
    assert {spelling for option in options for spelling in option.opts} <= explained
    own = {spelling for code in first_codes(text) for spelling in _options_in(code)}
    assert own <= {spelling for option in options for spelling in option.opts}
    arguments = [each for each in commands()[name].params if isinstance(each, click.Argument)]
    assert re.findall(r"\[?([A-Z]+)\]?…?$", synopsis) == [
        str(argument.name).upper().removesuffix("S") for argument in arguments
    ]


def _options_in(*texts: str) -> set[str]:
    return {option for text in texts for option in re.findall(r"--?[a-z][a-z-]*", text)}


def test_exit_codes() -> None:
    """The exit codes that `signals --help` names are those that are explained."""
    promised = (signals.help or "").partition("Exit codes:")[2]
    explained = [row[0] for row in rows(section(COMMANDS, "Exit codes"))]
    assert explained == re.findall(r"\b\d+\b", promised)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("signals status", (CollectorState, SinkState)), ("signals history", (Outcome,))],
)
def test_states_and_outcomes(name: str, kinds: tuple[object, ...]) -> None:
    """Each state that `status` shows, and each outcome of a run, is explained, and no other."""
    words = [word for kind in kinds for word in get_args(kind)]
    codes = first_codes(section(COMMANDS, name))
    assert sorted(code for code in codes if not code.startswith("--")) == sorted(words)


def test_exit_codes_of_the_daemon() -> None:
    """The page about running it explains no other exit codes than there are."""
    codes = [row[0] for row in rows(section(COMMANDS, "Exit codes"))]
    assert {row[0] for row in rows(section(RUNNING, "Signals and exit codes"))} < set(codes)


def test_hooks() -> None:
    """The page about plugins names each hook, and what else it explains is public and there."""
    text = section(PLUGINS, "What is called, and when")
    hooks = set(re.findall(r"\bsignals_register_\w+", text))
    assert hooks == {name for name in vars(Hooks) if name.startswith("signals_")}
    names = {re.split(r"[^\w.]", code)[0] for code in first_codes(text)}
    for name in names:
        assert name.partition(".")[0] in signals_core.__all__, name
        assert attrgetter(name)(signals_core), name


@pytest.mark.parametrize("name", ["Plugin", "Source", "Sink", "Schedule", "Request", "Batch"])
def test_what_a_plugin_meets(name: str) -> None:
    """Every public attribute of the classes that an author derives from, or is handed, is named."""
    text = section(PLUGINS, "What is called, and when")
    cls = getattr(signals_core, name)
    for attribute in vars(cls):
        if not attribute.startswith("_") and name + attribute not in _FOR_THE_RUNNER:
            assert re.search(rf"`(?:{name}\.|with )?{attribute}\b", text), attribute


#: What the runner alone calls.
_FOR_THE_RUNNER = {"Requestcancel", "Batchof_lines"}


def test_wire_form() -> None:
    """The keys of the wire form are explained, in their order."""
    documented = first_codes(section(METRICS, "The wire form"))
    assert documented == [field.name for field in attrs.fields(Metric)]


def test_identity() -> None:
    """The namespace of identities, and the bytes of the test vector, are the real ones."""
    text = METRICS.read_text(encoding="utf-8")
    tags = {"customer": "google", "env": "prod"}
    start, end = 1767222000000000, 1767308400000000
    texts = ["1", "core.users.signups.1d", "core.users.signups", str(start), str(end)]
    texts += [part for pair in sorted(tags.items()) for part in pair]
    assert f"`{b''.join(map(netstring, texts)).decode()}`" in text
    assert str(NAMESPACE) in text


def test_sessions_of_nox() -> None:
    """Each session that the README names is one."""
    named = re.findall(r"noxfile\.py -s (\w+)", README.read_text(encoding="utf-8"))
    sessions = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert named == ["quickstart", "tests", "docs"]
    assert all(f"\ndef {name}(session: nox.Session)" in sessions for name in named)


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix()
)
def test_links(document: Path) -> None:
    """Each link within the repository leads to a file, and to a heading in it."""
    text = _FENCED.sub("", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def _anchors(document: Path) -> set[str]:
    headings = _HEADING.findall(_FENCED.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_messages() -> None:
    """Each mistake that is told has its row, without its remedy, and each row is told."""
    text = MESSAGES.read_text(encoding="utf-8").partition("## In files")[2]
    documented = set(filter(says_something, first_codes(text)))
    told = {text: place for text, place in messages().items() if text not in _OF_THE_CODE}
    assert {text: place for text, place in told.items() if text not in documented} == {}
    assert documented <= told.keys()


#: What would be a mistake in the code, which nobody can bring about from outside.
_OF_THE_CODE = {
    "nobody knows how to …",
    "the coverage of … is not what is stored: read it again",
    "the reading of … is not later than the one before it: …",
    "the timer has a job … already",
}


def test_kinds_of_mistakes() -> None:
    """Each exception of signals has its row with its exit code, and each row is one."""
    codes = {row[0]: row[1] for row in rows(section(MESSAGES, "Kinds"))}
    assert codes.keys() == {f"`{kind.__name__}`" for kind in _kinds_of(SignalsError)}
    assert {code for code in codes.values() if code} <= {
        row[0] for row in rows(section(COMMANDS, "Exit codes"))
    }


def _kinds_of(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith("signals_core."):
            yield from _kinds_of(kind)


def test_events() -> None:
    """Each event that is logged has its row, with its level, and each row is logged."""
    documented = {_CODE.findall(row[0])[0]: row[1] for row in rows(LOGS.read_text("utf-8"))}
    logged = {text: level for text, (level, _) in events().items()}
    assert {text: level for text, level in documented.items() if says_something(text)} == logged


def test_variables() -> None:
    """Each variable of the environment that the code reads has its row, and each row is read."""
    documented = first_codes(section(ENVIRONMENT, "Variables that are read"))
    assert sorted(documented) == sorted(variables())


@pytest.mark.parametrize(
    "index", sorted((ROOT / "docs").glob("*/index.md")), ids=lambda path: path.parent.name
)
def test_indexes(index: Path) -> None:
    """The index of a folder links to each of its pages, for who reads without the book."""
    linked = set(re.findall(r"\]\(([\w-]+\.md)[)#]", index.read_text(encoding="utf-8")))
    assert {page.name for page in index.parent.glob("*.md")} - {"index.md"} <= linked
