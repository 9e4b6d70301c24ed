"""What Prometheus is shown."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from parts.daemon import Daemon, until
from parts.postgres import lacking
from parts.running import HOUR, MINUTE, Gate, Rig, Taker, at
from signals_core import Rejected, Runner, Unavailable
from signals_core.facts import Configured
from signals_core.secret import remember
from signals_core.tally import Histogram
from signals_core.web.app import Request
from signals_core.web.telemetry import Telemetry

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "telemetry.md"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks:
  lake: {type: file, config: {path: lake.jsonl}}
  gone: {type: file, config: {path: nowhere/gone.jsonl}}
defaults: {owner: 'the "data" team', sinks: [lake, gone]}
---
name: shop.orders.1h
description: |
  Orders \\ hour
  by hour
metric: {name: shop.orders, type: COUNT}
grain: 1h
window: {}
schedule: {interval: 1s}
source:
  use: shop
  config:
    sql: SELECT 1 AS value WHERE :window_start < :window_end
---
name: shop.level
metric: {name: shop.level, type: GAUGE}
schedule: {interval: 1s}
source: {use: shop, config: {sql: SELECT 5 AS value}}
---
name: shop.bad
metric: {name: shop.bad, type: GUAGE}
schedule: {interval: 1s}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "state")
    yield made
    made.stop()


class Scrape:
    """What one scrape shows."""

    def __init__(self, text: str, parse=plain) -> None:
        self.families = {family.name: family for family in parse(text)}
        self.samples = {
            (sample.name.removeprefix("signals_"), *sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name.startswith("signals_")
        }

    def of(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, *sorted(labels.items())))

    def about(self, **labels: str) -> set[str]:
        """The names of the series that have these labels."""
        return {key[0] for key in self.samples if labels.items() <= dict(key[1:]).items()}


def scrape(rig: Rig, configured: Configured | None = None, runner: Runner | None = None) -> Scrape:
    known = configured or Configured(rig.now)
    telemetry = Telemetry(runner or rig.runner, rig.folder, lambda: known)
    return Scrape(str(telemetry.answer(Request("/metrics")).body, "utf-8"))


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each name in the reference."""
    row = re.compile(r"^\| `(signals_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
    found = row.findall(REFERENCE.read_text())
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


def test_names_are_documented(rig: Rig) -> None:
    """Each name has its row, with its type and its labels, and each row is a name."""
    rig.source.seen = lambda: rig.now - MINUTE
    rig.start(rig.windowed(start=at("2025-12-31T20:00")), rig.snapshot())
    rig.advance(3 * MINUTE)
    shown = {}
    for family in scrape(rig, Configured(rig.now, ["core.bad"], ["a mistake"])).families.values():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if name.startswith("signals_"):
            shown[name] = (family.type, labels)
    assert shown == documented()


def test_a_windowed_collector(rig: Rig) -> None:
    """It is late from the moment when a window is due and not read, by the runner's clock."""
    name = "core.test"
    rig.source.seen = lambda: rig.now - 10 * MINUTE
    rig.start(rig.windowed(name, start=at("2025-12-31T20:00"), grace=5 * MINUTE))
    rig.until("2026-01-01T00:02")
    shown = scrape(rig)
    assert shown.of("collector_late_seconds", collector=name) == 0
    assert shown.of("collector_missing_windows", collector=name) == 0
    read_until = shown.of("collector_read_until_timestamp_seconds", collector=name)
    assert read_until == at("2025-12-31T23:00").timestamp()
    assert shown.of("collector_watermark_age_seconds", collector=name) == 600
    rig.until("2026-01-01T00:12")
    shown = scrape(rig)
    assert shown.of("collector_late_seconds", collector=name) == (60 + 12 - 5) * 60
    assert shown.of("collector_missing_windows", collector=name) == 1
    rig.until("2026-01-01T00:20")
    shown = scrape(rig)
    assert shown.of("collector_late_seconds", collector=name) == 0
    assert shown.of("collector_runs_total", collector=name, outcome="read") == 4
    assert shown.of("collector_rows_total", collector=name) == 4
    assert shown.of("collector_metrics_total", collector=name) == 4
    assert shown.of("collector_run_duration_seconds_count", collector=name) == 4
    success = shown.of("collector_last_success_timestamp_seconds", collector=name)
    assert success == rig.runs()[-1].started.timestamp()


def test_failures(rig: Rig) -> None:
    """Failed windows are counted apart from those that are missing, and make it late."""

    def answer(request):
        if request.window.start == at("2025-12-31T22:00"):
            raise ValueError(f"no such thing at {rig.now}")
        return [{"value": 1}]

    rig.source.answer = answer
    rig.start(rig.windowed(start=at("2025-12-31T20:00")))
    rig.until("2026-01-01T00:30")
    shown = scrape(rig)
    assert shown.of("collector_failed_windows", collector="core.test") == 1
    assert shown.of("collector_missing_windows", collector="core.test") == 0
    assert shown.of("collector_late_seconds", collector="core.test") == 29 * 60
    failed = shown.of("collector_runs_total", collector="core.test", outcome="failed")
    assert failed == rig.outcomes().count("failed") > 2


def test_skipped_windows(rig: Rig) -> None:
    """What catch_up passes over is shown until it is filled, and does not make it late."""
    rig.start(rig.windowed(start=at("2025-12-31T00:00"), catch_up=2))
    rig.until("2026-01-01T00:10")
    shown = scrape(rig)
    assert shown.of("collector_skipped_windows", collector="core.test") == 22
    assert shown.of("collector_missing_windows", collector="core.test") == 0
    assert shown.of("collector_late_seconds", collector="core.test") == 0


def test_a_source_that_was_never_reached(rig: Rig) -> None:
    """A collector whose source was never reached is late, and has no last success."""
    rig.source.down = Unavailable("refused")
    rig.start(rig.windowed(start=at("2025-12-31T20:00")))
    rig.until("2026-01-01T00:31")
    shown = scrape(rig)
    assert shown.of("collector_late_seconds", collector="core.test") == (4 * 60 + 30) * 60
    assert shown.of("collector_missing_windows", collector="core.test") == 4
    assert shown.of("collector_last_success_timestamp_seconds", collector="core.test") is None
    assert shown.of("collector_runs_total", collector="core.test", outcome="unreachable") > 2


def test_a_snapshot_collector(rig: Rig) -> None:
    """It is late from the second tick after its last success, and has no windows."""
    collector = rig.snapshot(every=10 * MINUTE)
    rig.start(collector)
    rig.until("2026-01-01T00:11")
    assert scrape(rig).of("collector_late_seconds", collector="core.level") == 0
    collector.source.down = Unavailable("refused")
    rig.runner._daemon._members[collector.id].source._is_broken = True
    rig.until("2026-01-01T00:29")
    assert scrape(rig).of("collector_late_seconds", collector="core.level") == 0
    rig.until("2026-01-01T00:45")
    shown = scrape(rig)
    assert shown.of("collector_late_seconds", collector="core.level") == 15 * 60
    assert not [name for name in shown.about(collector="core.level") if "window" in name]


def test_dropped_ticks(rig: Rig) -> None:
    """Ticks that come while a run is under way are counted once it has ended."""
    gate = Gate(rig.clock)
    collector = rig.snapshot(timeout=HOUR)
    collector.source.answer = gate.answer
    rig.start(collector)
    rig.until("2026-01-01T00:06")
    gate.open()
    rig.clock.settle()
    shown = scrape(rig)
    assert shown.of("collector_dropped_ticks_total", collector="core.level") >= 4
    assert shown.of("collector_run_duration_seconds_bucket", collector="core.level", le="60.0") == 0
    assert shown.of("collector_run_duration_seconds_sum", collector="core.level") > 240


def test_sinks(rig: Rig) -> None:
    """Of each sink it shows what waits, since when, and how its writes ended."""
    gone = Taker("gone")
    gone.down = Unavailable("refused")
    both = {"sinks": {"lake": rig.sink, "gone": gone}, "shared_sinks": ["lake", "gone"]}
    rig.start(rig.windowed(start=at("2025-12-31T20:00"), **both))
    assert scrape(rig).of("sink_writes_total", sink="lake", outcome="accepted") == 0
    rig.until("2026-01-01T00:10")
    shown = scrape(rig)
    assert shown.of("sink_pending_metrics", sink="lake") == 0
    assert shown.of("sink_oldest_pending_age_seconds", sink="lake") == 0
    assert shown.of("sink_written_metrics_total", sink="lake") == 4
    assert shown.of("sink_writes_total", sink="lake", outcome="failed") == 0
    assert shown.of("sink_pending_metrics", sink="gone") == 4
    assert shown.of("sink_pending_bytes", sink="gone") > 400
    age = shown.of("sink_oldest_pending_age_seconds", sink="gone")
    assert age == (rig.now - rig.runs()[0].started).total_seconds()
    assert shown.of("sink_writes_total", sink="gone", outcome="failed") > 2
    assert shown.of("sink_written_metrics_total", sink="gone") == 0
    flags = ("failing", "suspended", "orphaned")
    assert [shown.of(f"sink_{flag}", sink="gone") for flag in flags] == [1, 0, 0]
    assert [shown.of(f"sink_{flag}", sink="lake") for flag in flags] == [0, 0, 0]


def test_refusals(rig: Rig) -> None:
    """What a sink refuses is counted, and so is what it takes again to tell that it is well."""

    class Picky(Taker):
        def write(self, batch):
            if any(metric.value == 13 for metric in batch):
                raise Rejected("unlucky")
            super().write(batch)

    sink = Picky("picky")
    rig.source.answer = lambda request: [{"value": n, "n": str(n)} for n in (1, 2, 13)]
    rig.start(rig.windowed(sinks={"picky": sink}, shared_sinks=["picky"]))
    rig.until("2026-01-01T01:10")
    shown = scrape(rig)
    assert shown.of("sink_dead_letters", sink="picky") == 2
    assert shown.of("sink_dead_letter_bytes", sink="picky") > 0
    assert shown.of("sink_writes_total", sink="picky", outcome="rejected") >= 2
    assert shown.of("sink_written_metrics_total", sink="picky") == 4


def test_orphans_and_retired(rig: Rig) -> None:
    """A collector that is gone has no series left; its sink has while something waits for it."""
    rig.sink.down = Unavailable("refused")
    old = rig.windowed("core.old", sinks={"own": rig.sink}, shared_sinks=[])
    rig.start(old, rig.snapshot())
    rig.advance(3 * MINUTE)
    assert len(scrape(rig).about(collector="core.old")) > 10
    rig.stop()
    rig.start(rig.snapshot())
    shown = scrape(rig)
    assert shown.about(collector="core.old") == set()
    assert shown.of("sink_orphaned", sink="core.old/own") == 1
    assert shown.of("sink_writes_total", sink="core.old/own", outcome="failed") is None


def test_taken_out_while_it_runs(rig: Rig) -> None:
    """Series end with their collector, begin at zero with a new one, and go on when one is back."""
    old, new = rig.snapshot("core.old"), rig.snapshot("core.new")
    runner = rig.start(old)
    rig.advance(3 * MINUTE)
    count = scrape(rig).of("collector_runs_total", collector="core.old", outcome="read")
    assert count
    rig.call(lambda: runner.reload([new]))
    shown = scrape(rig)
    assert shown.about(collector="core.old") == set()
    assert shown.of("collector_runs_total", collector="core.new", outcome="read") == 0
    rig.call(lambda: runner.reload([old, new]))
    shown = scrape(rig)
    assert shown.of("collector_runs_total", collector="core.old", outcome="read") == count


def test_what_is_bounded(rig: Rig) -> None:
    """Whatever happens, and for whatever reasons, the series are those of the configuration."""
    rig.source.answer = lambda request: [{"value": 1, "who": str(rig.now)}]
    collector = rig.windowed(grain="5m")
    rig.start(collector)
    rig.advance(HOUR)
    before = set(scrape(rig).samples)

    def fail(request):
        raise ValueError(f"reason {rig.now}")

    rig.source.answer = fail
    rig.advance(HOUR)
    rig.sink.down = Unavailable("another reason")
    rig.source.answer = lambda request: [{"value": 1, "who": str(rig.now)}]
    rig.advance(4 * HOUR)
    shown = scrape(rig)
    assert set(shown.samples) == before
    assert "reason" not in str(shown.samples)


def test_labels(rig: Rig) -> None:
    """Labels hold what was written, whatever it is, but for secrets."""
    remember("hunter2hunter2")
    odd = 'a "quote", a \\ and\na line'
    rig.start(rig.snapshot('core.é"{}', owner=odd, description="key hunter2hunter2 of us"))
    shown = scrape(rig)
    (info,) = (dict(key[1:]) for key in shown.samples if key[0] == "collector_info")
    assert info == {
        "collector": 'core.é"{}',
        "id": 'core.é"{}',
        "kind": "snapshot",
        "grain": "",
        "owner": odd,
        "description": "key *** of us",
    }


def test_configuration(rig: Rig) -> None:
    """It shows when the configuration was read, whether it was right, and who is left out."""
    rig.start(rig.snapshot())
    shown = scrape(rig)
    assert shown.of("config_last_reload_successful") == 1
    assert shown.of("config_last_reload_timestamp_seconds") == rig.now.timestamp()
    shown = scrape(rig, Configured(rig.now, ["core.bad"], ["core.bad: a mistake"]))
    assert shown.of("config_last_reload_successful") == 0
    assert shown.of("collector_left_out", collector="core.bad") == 1


def test_store(rig: Rig) -> None:
    """It shows what the store takes, how long transactions take, and when they fail."""
    rig.start(rig.snapshot())
    rig.advance(MINUTE)
    shown = scrape(rig)
    assert shown.of("store_size_bytes") > 4096
    assert shown.of("store_writable") == 1
    assert shown.of("store_commit_duration_seconds_count") > 2
    assert shown.of("outbox_limit_bytes") == 1 << 30
    rig.runner._daemon._store._database._connection.execute("PRAGMA query_only = 1")
    rig.advance(2 * MINUTE)
    assert scrape(rig).of("store_writable") == 0
    rig.runner._daemon._store._database._connection.execute("PRAGMA query_only = 0")
    rig.advance(2 * MINUTE)
    assert scrape(rig).of("store_writable") == 1


def test_before_it_is_started(rig: Rig) -> None:
    """A runner that waits for its state directory shows its build and configuration only."""
    runner = Runner([rig.snapshot()], state_dir=rig.folder, clock=rig.clock)
    shown = scrape(rig, runner=runner)
    assert {key[0] for key in shown.samples} == {
        "build_info", "config_last_reload_timestamp_seconds", "config_last_reload_successful",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        (OPEN_METRICS, "application/openmetrics-text"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("application/openmetrics-text;version=x", "text/plain"),
        ("text/plain;version=;;;,", "text/plain"),
    ],
)
def test_formats(rig: Rig, accept: str, content_type: str) -> None:
    """It answers in the format that is asked for, and to nonsense as Prometheus' text."""
    rig.start(rig.windowed(), rig.snapshot())
    rig.advance(2 * MINUTE)
    telemetry = Telemetry(rig.runner, rig.folder, lambda: Configured(rig.now))
    response = telemetry.answer(Request("/metrics", headers={"accept": accept}))
    assert response.content_type.startswith(content_type)
    text = str(response.body, "utf-8")
    is_open = "openmetrics" in content_type
    shown = Scrape(text, open_metrics if is_open else plain)
    assert text.endswith("# EOF\n") == is_open
    assert shown.samples.keys() == scrape(rig).samples.keys()
    assert shown.of("collector_rows_total", collector="core.level") == 2


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9), unique=True).map(sorted))
def test_histogram(seconds: list[int], bounds: list[int]) -> None:
    """A histogram counts what does not exceed each bound, all there was, and their sum."""
    histogram = Histogram(bounds)
    for each in seconds:
        histogram.observe(each)
    expected = [sum(each <= bound for each in seconds) for bound in bounds]
    assert histogram.counts == [*expected, len(seconds)]
    assert histogram.sum == pytest.approx(sum(seconds))


def test_promtool_finds_nothing(project: Path) -> None:
    """Prometheus' own tool has nothing to say of a real daemon, one of whose sinks is down."""
    promtool = shutil.which("promtool") or lacking("promtool (Debian's package prometheus)")
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    with Daemon(project, "--listen", "127.0.0.1:0") as daemon:

        def has_run() -> bool:
            shown = Scrape(daemon.get("/metrics")[1])
            runs = [
                shown.of("collector_runs_total", collector=name, outcome="read")
                for name in ("shop.orders.1h", "shop.level")
            ]
            return all(runs) and bool(shown.of("sink_failing", sink="gone"))

        until(has_run)
        text, other = (
            daemon.get("/metrics", Accept=accept)[1] for accept in ("text/plain", OPEN_METRICS)
        )
        done = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        shown = Scrape(text)
        assert shown.of("sink_pending_metrics", sink="gone") > 0
        assert shown.of("collector_left_out", collector="shop.bad") == 1
        assert shown.of("config_last_reload_successful") == 0
        assert shown.families["process_start_time_seconds"].samples[0].value > 0
        assert Scrape(other, open_metrics).families.keys() >= shown.families.keys()
        assert daemon.stop() == 0
