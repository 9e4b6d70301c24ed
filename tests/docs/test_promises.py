"""The reference lists the promises that the conformance kit tests, as the kit itself says them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from signals_core.testing import PROMISES, Promise, ScheduleSuite, SinkSuite, SourceSuite

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"
HEADING = "## The promises\n"
SUITES = {"source": SourceSuite, "sink": SinkSuite, "schedule": ScheduleSuite}
SHARED = [promise for promise in PROMISES["source"] if promise in PROMISES["schedule"]]
CONNECTED = [
    promise
    for promise in PROMISES["source"]
    if promise in PROMISES["sink"] and promise not in SHARED
]
OPENING = """
Each is a test, `test_` and its name, of the suites whose plugins give it. *Needs* is what an author
gives to the suite to have it tested, besides the plugin itself. `left_out` maps the names of
promises that do not apply to the reasons.
"""


def test_promises() -> None:
    """Every promise has its part with its reason and remedy, and there is no other."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    page = before + HEADING + "\n".join(_lines()) + "\n"
    if "SIGNALS_WRITE_DOCS" in os.environ:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("kind", SUITES)
def test_each_promise_has_one_test(kind: str) -> None:
    """A suite tests the promises of its kind, each in a test of its name, and nothing else."""
    suite = SUITES[kind]
    tests = {name: getattr(suite, name) for name in dir(suite) if name.startswith("test_")}
    assert {name: test.promise for name, test in tests.items()} == {
        f"test_{promise.name}": promise for promise in PROMISES[kind]
    }


@pytest.mark.parametrize("kind", SUITES)
def test_what_a_promise_needs_can_be_given(kind: str) -> None:
    """What a promise needs is an attribute of the suite, which its docstring explains."""
    suite = SUITES[kind]
    for promise in PROMISES[kind]:
        for name in promise.needs:
            assert hasattr(suite, name)
            assert f"`{name}`" in (suite.__doc__ or "")


def _lines() -> Iterator[str]:
    yield OPENING
    own = {
        f"Of {kind}s": [each for each in promises if each not in (*SHARED, *CONNECTED)]
        for kind, promises in PROMISES.items()
    }
    parts = {"Of all plugins": SHARED, "Of sources and sinks": CONNECTED, **own}
    for heading, promises in parts.items():
        yield f"### {heading}\n"
        for promise in promises:
            yield from _part(promise)
        yield ""


def _part(promise: Promise) -> Iterator[str]:
    yield f"- **`{promise.name}`**: {promise.text}"
    needs = " and ".join(f"`{name}`" for name in promise.needs)
    yield f"  - Why: {promise.why}"
    yield f"  - Usually mended: {_plain(promise.remedy)}"
    if needs:
        yield f"  - Needs: {needs}"


def _plain(text: str) -> str:
    """Keep Markdown from reading the code in a remedy as emphasis."""
    return re.sub(r"__\w+__", r"`\g<0>`", text)
