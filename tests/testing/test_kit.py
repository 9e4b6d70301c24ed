"""The conformance kit catches what breaks a promise, with the right test, and nothing sound."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from xml.etree.ElementTree import parse

import pytest

from parts.distributions import PluginFolder
from signals_core.testing import PROMISES, PromiseBroken, SourceSuite

HELPDESK = Path(__file__).parent / "helpdesk"
SOUND = {"source": {"Ledger"}, "sink": {"Shelf", "SlowShelf"}, "schedule": {"Hourly"}}
KINDS = pytest.mark.parametrize("kind", list(PROMISES))

#: What pytest prints of the exception, each line after the first moved to the right.
BROKEN = re.compile(
    r"^E   signals_core\.testing\.promise\.PromiseBroken: (.*\n(?: {6}.*\n)*)", re.MULTILINE
)

Outcomes = Mapping[str, Mapping[str, str]]


class Run:
    """The suites of one kind, in a process of their own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._report = folder / f"{kind}.xml"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-q", "-c", folder / "pytest.ini"),
                *("-p", "no:cacheprovider", "--import-mode=importlib", "--confcutdir", HELPDESK),
                *("--basetemp", folder / kind, "--junitxml", self._report),
                HELPDESK / f"{kind}s.py",
            ],
            env=os.environ | {"PYTHONPATH": f"{HELPDESK}{os.pathsep}{folder}", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> None:
        self.printed, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 1, self.printed

    @property
    def messages(self) -> Outcomes:
        """What each failed test said, by class and promise; a class that passed has none."""
        found: dict[str, dict[str, str]] = {}
        for case in parse(self._report).iter("testcase"):
            name = case.attrib["classname"].rpartition("Test")[2]
            said = found.setdefault(name, {})
            for failure in (each for each in case if each.tag != "skipped"):
                broken = BROKEN.findall(f"{failure.text}\n")
                said[case.attrib["name"].removeprefix("test_")] = dedent(f"    {broken[-1]}")
        return found


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    """All suites of the help desk, run once, the three kinds beside each other."""
    folder = tmp_path_factory.mktemp("helpdesk")
    PluginFolder(folder).metadata("helpdesk", "helpdesk = helpdesk")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    runs = {kind: Run(folder, kind) for kind in PROMISES}
    for run in runs.values():
        run.finish()
    return runs


@pytest.fixture(scope="module")
def broken() -> Iterator[ModuleType]:
    """The module of the broken plugins, which says which test is to catch each."""
    sys.path.insert(0, str(HELPDESK))
    import broken

    yield broken
    sys.path.remove(str(HELPDESK))


@KINDS
def test_each_broken_plugin_is_caught_by_the_right_tests(
    runs: Mapping[str, Run], broken: ModuleType, kind: str
) -> None:
    """A plugin that breaks a promise fails the tests of that promise, and no unrelated one."""
    classes = getattr(broken, f"{kind.upper()}S")
    caught = {name: set(said) for name, said in runs[kind].messages.items()}
    assert {name: caught[name] for name in caught.keys() - SOUND[kind]} == {
        cls.__name__: broken.BREAKS[cls.__name__] for cls in classes
    }


@KINDS
def test_the_sound_twins_pass_all_of_it(runs: Mapping[str, Run], kind: str) -> None:
    """A plugin that keeps every promise passes every test."""
    failed = {name: set(runs[kind].messages[name]) for name in SOUND[kind]}
    assert failed == {name: set() for name in SOUND[kind]}


@KINDS
def test_each_promise_is_broken_by_some_plugin(broken: ModuleType, kind: str) -> None:
    """There is no promise of which nobody knows whether the kit would see it broken."""
    known = {promise.name for promise in PROMISES[kind]}
    assert known <= set().union(*broken.BREAKS.values())


@KINDS
def test_every_failure_has_the_same_grammar(runs: Mapping[str, Run], kind: str) -> None:
    """A failure says which promise broke, what was seen, why it matters and the usual remedy."""
    promises = {promise.name: promise for promise in PROMISES[kind]}
    for name, said in runs[kind].messages.items():
        for promise, message in said.items():
            seen = message.split("\n  seen: ")[1].split("\n  why it matters: ")[0]
            assert message == f"{PromiseBroken(promises[promise], name, seen)}\n"


SEEN = [
    (
        *("source", "HasItsOwnInit", "configuration"),
        "it has an __init__ of its own that does not take its fields: got an unexpected keyword",
    ),
    ("source", "ConnectsWhenBuilt", "built_without_io", "building it did: socket."),
    ("source", "StartsAThreadWhenBuilt", "built_without_io", "building it did: it started Thread-"),
    (
        *("source", "BuffersAllRows", "streams"),
        "of an endless result no ten rows came within 2 s\n",
    ),
    ("source", "IgnoresCancel", "cancel", "a cancelled read still went on after 2 s\n"),
    (
        *("source", "IgnoresTimeout", "timeout"),
        "a read with a timeout of 0.2 s still went on after 2.2 s\n",
    ),
    ("source", "SharesItsCursor", "independent", "the first of two overlapping reads had 1 rows"),
    ("source", "HasNaiveWatermarks", "watermark", "watermark() is datetime.datetime("),
    ("source", "KeepsItsSecretInText", "secrets", "the field password is a str, which every repr"),
    (
        *("source", "ClaimsItsWindow", "parameters"),
        "parameters() names window_end, window_start, and two windows have the same rows",
    ),
    ("source", "PrintsItsSecret", "secrets", "what it prints shows a secret\n"),
    ("source", "OpensOnce", "reopen", "RuntimeError: a pool cannot be started twice"),
    ("sink", "AcknowledgesBeforeWriting", "writes", "1 of 1 metrics that were written are missing"),
    (
        *("sink", "WritesWhenTheProcessEnds", "durable"),
        "20 of 20 metrics that were written are missing",
    ),
    ("sink", "LogsWhatItWritesWith", "secrets", "a log of helpdesk shows a secret\n"),
    ("sink", "WritesSlowly", "big_batch", "write() of 1000 metrics still went on after "),
    ("sink", "Reorders", "order", "metric 8 of 30 came after a later one"),
    ("sink", "SwallowsARejection", "rejects", "for `poison` it raised nothing"),
    ("sink", "BlamesTheFirst", "rejects", "the guilty metric is at 1, and indices are [0]"),
    ("schedule", "StandsStill", "later", "after "),
    ("schedule", "IsNaive", "aware", "after "),
    ("schedule", "AddsADay", "daylight_saving", "after "),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "promise", "seen"), SEEN)
def test_a_failure_says_what_was_seen(
    runs: Mapping[str, Run], kind: str, name: str, promise: str, seen: str
) -> None:
    """What the plugin did stands in the failure, in words that its author can act on."""
    assert f"\n  seen: {seen}" in runs[kind].messages[name][promise]


def test_what_is_not_tested_is_listed_with_its_reason(runs: Mapping[str, Run]) -> None:
    """The summary of a run names what was left out, and why."""
    assert "promises of plugins that were not tested" in runs["sink"].printed
    assert "\nTestReorders killed: it is slow\n" in runs["sink"].printed
    assert "deselected" in runs["sink"].printed
    own = "\nTestHasItsOwnInit streams: its own __init__ breaks configuration\n"
    assert own in runs["source"].printed


def test_what_lacks_its_part_is_not_tested() -> None:
    """A promise for which nothing was given is not tested, and the reason says what to give."""

    class Bare(SourceSuite):
        left_out = {"watermark": "it has none"}

    lacking = Bare.not_tested()
    assert lacking["streams"] == "give endless to test it"
    assert lacking["snapshot"] == "give many and change to test it"
    assert lacking["watermark"] == "it has none"
    assert "parameters" not in lacking


def test_only_a_promise_can_be_left_out() -> None:
    """A misspelt name in left_out is an error, not a promise that is quietly tested."""
    with pytest.raises(TypeError) as caught:
        type("Typo", (SourceSuite,), {"left_out": {"watermarks": "it has none"}})
    assert str(caught.value) == (
        "Typo.left_out: there is no promise 'watermarks' (it may be watermark)"
    )


def test_without_pytest_there_is_one_clear_line() -> None:
    """Who did not install the extra is told how to."""
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "try:\n    from signals_core.testing import SourceSuite\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "SourceSuite needs pytest: pip install 'signals-core[testing]'\n"
