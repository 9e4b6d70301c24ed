"""The source `helpdesk` keeps the promises of the plugin API, against a real HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from signals_core import Request, RetryAfter, Secret, Unavailable, Window, WindowPolicy
from signals_core.testing import Harness, SourceSuite

from desk import TOKEN, Desk
from signals_helpdesk.source import HelpDesk

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = datetime(2026, 1, 2, tzinfo=UTC)
COLLECTOR = """
name: desk.tickets.1d
metric: {{name: desk.tickets, type: COUNT}}
grain: 1d
window: {{start: 2026-01-01}}
source: {{type: helpdesk, config: {{uri: "{uri}", token: "${{HELPDESK_TOKEN}}", by: queue}}}}
sinks: {{console: {{type: console}}}}
"""


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Return a help desk that listens."""
    desk = Desk()
    yield desk
    desk.stop()


@pytest.fixture
def source(desk: Desk) -> HelpDesk:
    """Return the source that asks it."""
    return HelpDesk(desk.uri, Secret(TOKEN))


class TestPromises(SourceSuite):
    """Every promise that a source makes: see the documentation of `SourceSuite`."""

    type = "helpdesk"
    query = HelpDesk.Query("state")
    endless = HelpDesk.Query("minute")
    slow = HelpDesk.Query("mood")
    left_out: ClassVar = {
        "snapshot": "the help desk has none: each page is a snapshot of its own",
        "check_reads_nothing": "check() asks nothing",
    }

    @pytest.fixture
    def source(self, source: HelpDesk) -> HelpDesk:
        """Return the source under test."""
        return source

    @pytest.fixture
    def unreachable(self) -> HelpDesk:
        """Return one that leads nowhere."""
        return HelpDesk("http://127.0.0.1:9/api", Secret(TOKEN))

    @pytest.fixture
    def down(self, desk: Desk) -> Callable[[], AbstractContextManager[None]]:
        """Return a context in which the help desk is down."""
        return desk.down


def a_request(by: str = "state") -> Request:
    """Return what a runner would ask for the first day."""
    return Request("desk", HelpDesk.Query(by), Window(FIRST, SECOND))


def test_all_pages(source: HelpDesk, desk: Desk) -> None:
    """Each page is asked for, with exactly the window, and their rows come in order."""
    assert list(source.read(a_request())) == [
        {"state": "closed", "value": 1},
        {"state": "open", "value": 2},
        {"state": "waiting", "value": 1},
    ]
    asked = {"by": "state", "from": "2026-01-01T00:00:00+00:00", "to": "2026-01-02T00:00:00+00:00"}
    assert desk.asked == [asked, {**asked, "page": "1"}]


def test_told_to_wait(source: HelpDesk, desk: Desk) -> None:
    """A help desk that asks for a pause is given it."""
    desk.status, desk.retry_after = 429, "7"
    with pytest.raises(RetryAfter) as told:
        list(source.read(a_request()))
    assert told.value.seconds == 7


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_in_trouble(source: HelpDesk, desk: Desk, status: int) -> None:
    """Whatever it answers but counts is waited for, with the status as the reason."""
    desk.status = status
    with pytest.raises(Unavailable, match=f"^{status} "):
        list(source.read(a_request()))


def test_a_wrong_token(desk: Desk) -> None:
    """A token that is not known is told without being shown."""
    with pytest.raises(Unavailable) as told:
        list(HelpDesk(desk.uri, Secret("hunter2")).read(a_request()))
    assert str(told.value).startswith("401 ")
    assert "hunter2" not in str(told.value)


def test_days(source: HelpDesk, desk: Desk) -> None:
    """Day by day each ticket is counted once, through a pause that the help desk asks for."""
    desk.status, desk.retry_after = 429, "120"
    with Harness(
        source=source,
        query=HelpDesk.Query("queue"),
        grain="1d",
        window=WindowPolicy(start=FIRST),
        start=datetime(2026, 1, 3, 1, tzinfo=UTC),
    ) as harness:
        harness.advance(minutes=1, seconds=30)
        assert not harness.metrics
        assert len(desk.asked) == 1
        desk.status = 200
        harness.advance(minutes=5)
        counted = [(m.grain_datetime.day, m.tags["queue"], m.value) for m in harness.metrics]
    assert counted == [(1, "sales", 2), (1, "support", 2), (2, "support", 1)]


def test_from_the_command_line(desk: Desk, tmp_path: Path) -> None:
    """A collector, a token in the environment and one command give a number."""
    (tmp_path / "tickets.yaml").write_text(COLLECTOR.format(uri=desk.uri))
    done = subprocess.run(
        [sys.executable, "-m", "signals_core", "config", "invoke", "-c", ".", "--at", "2026-01-01"],
        cwd=tmp_path,
        env={**os.environ, "HELPDESK_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["tags"], each["value"]) for each in metrics] == [
        ({"queue": "sales"}, 2),
        ({"queue": "support"}, 2),
    ]
