"""The status page without a browser: what it says of a runner whose clock a test moves."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from parts.running import HOUR, MINUTE, Gate, Rig, at
from signals_core import Metric, MetricDefinition, Unavailable
from signals_core.coverage import Coverage, Intervals
from signals_core.facts import Configured
from signals_core.findings import of_collectors
from signals_core.keys import key_of
from signals_core.metric import NAMESPACE
from signals_core.retries import Failure
from signals_core.secret import remember
from signals_core.store import StoreError
from signals_core.web import strip, words
from signals_core.web.plot import plot, short, sparkline
from signals_core.web.series import Point, largest, values_of
from signals_core.web.site import Site
from signals_core.window import Grain

START = at("2026-01-01")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "state", "2026-01-02T00:30")
    yield made
    made.stop()


def ask(rig: Rig, path: str, **configured) -> tuple[int, str]:
    """Ask for a page; returns status and text."""
    assert rig.runner
    site = Site(rig.runner, rig.folder, Configured(rig.now, **configured))
    statuses: list[str] = []
    environ = {"PATH_INFO": unquote(path, "latin-1"), "REQUEST_METHOD": "GET"}
    body = b"".join(site.app()(environ, lambda status, headers: statuses.append(status)))
    return int(statuses[0][:3]), body.decode()


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def explained(rig: Rig, name: str) -> list[str]:
    """The series in the table of a collector's page, each with its last value."""
    _, html = ask(rig, f"/collectors/{quote(name)}")
    rows = re.findall(r'<th scope="row">([^<]+)</th><td class="number">([^<]+)</td>', html)
    return [f"{label} {value}" for label, value in rows]


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        'a"b',
        "a'b",
        "<i>",
        "a&amp;b",
        "50%",
        "a%2Fb",
        "a?b",
        "a#b",
        "été",
        "日本",
        "a;b",
        "a+b",
    ],
)
def test_names_of_any_characters(rig: Rig, name: str) -> None:
    """Whatever a collector is called, the overview leads to its page."""
    rig.start(rig.windowed(name))
    _, html = ask(rig, "/")
    (href,) = set(re.findall(r'href="(/collectors/[^"]*)"', html))
    status, page = ask(rig, unescape(href))
    assert status == 200
    assert f"<h1>{name} " in unescape(page)


def test_what_is_not_there(rig: Rig) -> None:
    """A page that is not there names those that are."""
    rig.start(rig.windowed("core.a"))
    for path in ("/nothing", "/collectors/core.b", "/explain/x", "/collectors/core.a/more"):
        status, html = ask(rig, path)
        assert status == 404
        assert 'href="/collectors/core.a"' in html
        assert path in text_of(html)
    uuid = "f8640bb5-3e60-58f1-a7a9-8d0105299d0f"
    status, html = ask(rig, f"/explain/{uuid}")
    assert status == 404
    assert "No reading that is kept here holds it" in html


def test_before_the_start(rig: Rig) -> None:
    """Who looks before it has started, or at a store that cannot be read, is told."""
    runner = rig.start(rig.windowed("core.a"))
    rig.stop()
    rig.runner = runner
    status, html = ask(rig, "/")
    rig.runner = None
    assert status == 503
    assert "waits for its state directory" in html
    rig.start(rig.windowed("core.a"))
    (rig.folder / "store.db").rename(rig.folder / "elsewhere.db")
    status, html = ask(rig, "/")
    (rig.folder / "elsewhere.db").rename(rig.folder / "store.db")
    assert status == 503
    assert "there is no store" in html


def test_no_collectors(rig: Rig) -> None:
    """A daemon of nothing says so."""
    rig.start()
    status, html = ask(rig, "/")
    assert status == 200
    assert "<h1>There are no collectors</h1>" in html


def test_waits_for_no_commit(rig: Rig) -> None:
    """A page comes while another thread is in the middle of a transaction."""
    rig.start(rig.windowed("core.a"))
    with closing(sqlite3.connect(rig.folder / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE sink SET reason = 'in the middle'")
        status, html = ask(rig, "/")
        other.execute("ROLLBACK")
    assert status == 200
    assert "in the middle" not in html


def test_waits_for_no_query(rig: Rig) -> None:
    """A page comes while a query does not, and says since when it runs."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    rig.start(rig.windowed("core.a", start=START))
    rig.advance(timedelta(minutes=1))
    assert gate.inside == 1
    assert "runs since" in ask(rig, "/")[1].replace("\u00a0", " ")
    gate.open()


def test_gaps_and_retractions(rig: Rig) -> None:
    """A window that failed is a gap in a line, and what was retracted is not drawn."""
    gone = False

    def answer(request):
        hour = request.window.start.hour
        if hour == 21:
            raise RuntimeError("no such table")
        yield {"customer": "google", "value": hour}
        if not gone:
            yield {"customer": "apple", "value": 100 + hour}

    rig.source.answer = answer
    collector = rig.windowed("core.a", start=at("2026-01-01T20:00"), revise=[timedelta(hours=2)])
    rig.start(collector)
    rig.advance(timedelta(minutes=2))
    assert explained(rig, "core.a") == ["customer=apple 123", "customer=google 23"]
    (line, _) = re.findall(r'class="line s\d" d="([^"]+)"', ask(rig, "/collectors/core.a")[1])
    assert re.sub(r"[\d. -]+", "", line) == "MhMhL"  # 20:00; a gap; 22:00 to 23:00

    gone = True
    rig.until("2026-01-02T01:02")  # 22:00 and 23:00 are read again
    assert explained(rig, "core.a") == ["customer=google 0"]
    assert "22 read again" not in text_of(ask(rig, "/")[1])
    assert "1 failed" in ask(rig, "/")[1]
    assert "revised" in ask(rig, "/")[1]


def test_what_is_retracted_within_a_bucket(rig: Rig) -> None:
    """What a later reading of the same bucket retracts is neither drawn nor counted."""
    customers = ["apple", "google"]
    source = rig.base("levels", windowed=False)
    source.answer = lambda request: iter({"customer": each, "value": 7} for each in customers)
    rig.start(rig.snapshot("core.level", grain="1h", source=source))
    rig.advance(timedelta(minutes=2))
    assert explained(rig, "core.level") == ["customer=apple 7", "customer=google 7"]
    customers.remove("apple")
    rig.advance(timedelta(minutes=2))
    assert explained(rig, "core.level") == ["customer=google 7"]
    assert "apple" not in ask(rig, "/")[1]


def test_the_collectors_own_calendar(rig: Rig) -> None:
    """Windows are called what the collector's zone calls them, on the axis as in the tables."""
    collector = rig.windowed("core.a", grain="1d", timezone="Asia/Tokyo", start=at("2025-12-29"))
    rig.start(collector)
    rig.advance(timedelta(minutes=2))
    _, html = ask(rig, "/collectors/core.a")
    axis = re.findall(r'class="across"[^>]*>([^<]+)<', html)
    assert axis[0] == "2026-01-01"
    assert axis == sorted(axis, reverse=True)
    assert re.findall(r'<td class="mono">(2026-01-01|2025-12-31)</td>', html)


def test_secrets_are_masked(rig: Rig) -> None:
    """A secret that stands in an owner, a description or a query is not on a page."""
    remember("s3cr3t-&-word")
    collector = rig.windowed("core.a", owner="s3cr3t-&-word", description="see s3cr3t-&-word")
    rig.start(collector)
    for path in ("/", "/collectors/core.a"):
        _, html = ask(rig, path)
        assert "s3cr3t" not in html
        assert "***" in html


def test_left_out(rig: Rig) -> None:
    """A collector with a mistake has a row and a page, which say what is wrong and what to do."""
    rig.start(rig.windowed("core.a"))
    configured = {"left_out": ["core.b"], "problems": ["b.yaml:3: sql: is missing"]}
    for path in ("/", "/collectors/core.b"):
        _, html = ask(rig, path, **configured)
        assert "b.yaml:3: sql: is missing: mend it, and send SIGHUP to signals run" in text_of(html)
        assert "left out" in html


def test_a_watermark_that_stands(rig: Rig) -> None:
    """Of windows that wait for their source it is said up to when that shows its data."""
    rig.source.seen = lambda: at("2026-01-01T22:30")
    rig.start(rig.windowed("core.a", start=at("2026-01-01T20:00")))
    rig.advance(MINUTE)
    for path in ("/", "/collectors/core.a"):
        said = text_of(ask(rig, path)[1])
        assert "core.a: 2 windows missing, 2026-01-01T22:00:00Z/2026-01-02T00:00:00Z: " in said
        assert "its source shows its data only up to 2026-01-01T22:30:00Z (look at its" in said


def test_a_source_that_was_never_reached(rig: Rig) -> None:
    """Which windows are missing is said too where a source could not be reached yet."""
    rig.source.down = Unavailable("no route")
    rig.start(rig.windowed("core.a", start=at("2026-01-01T20:00")))
    rig.advance(MINUTE)
    said = text_of(ask(rig, "/")[1])
    assert "core.a: 4 windows missing, 2026-01-01T20:00:00Z/2026-01-02T00:00:00Z: no route" in said


def test_a_full_disk(rig: Rig) -> None:
    """That nothing can be stored comes first, with what to do."""
    runner = rig.start(rig.windowed("core.a"))
    with pytest.raises(StoreError), runner._daemon._store._database.transaction():
        raise StoreError("no room (make some)")
    said = text_of(ask(rig, "/")[1])
    assert "not stored" in said
    assert "no room (make some)" in said


def test_gone(rig: Rig) -> None:
    """A collector that is no longer configured is still told of, with its runs."""
    rig.start(rig.windowed("core.a", start=at("2026-01-01T22:00")), rig.windowed("core.b"))
    rig.advance(timedelta(minutes=2))
    rig.stop()
    rig.start(rig.windowed("core.b"))
    assert "/collectors/core.a" in ask(rig, "/")[1]
    status, html = ask(rig, "/collectors/core.a")
    assert status == 200
    assert "It is no longer configured" in html
    assert "2026-01-01T22:00:00Z/2026-01-01T23:00:00Z" in html


def test_one_number(rig: Rig) -> None:
    """From a collector's page a link leads to where a number comes from."""
    rig.start(rig.windowed("core.a", start=at("2026-01-01T22:00")))
    rig.advance(timedelta(minutes=2))
    (href,) = set(re.findall(r'href="(/explain/[^"]+)"', ask(rig, "/collectors/core.a")[1]))
    status, html = ask(rig, href)
    assert status == 200
    assert "to lake at" in html
    assert 'href="/collectors/core.a"' in html


def test_more_series_than_are_drawn(rig: Rig) -> None:
    """Of many series the largest are drawn, of each metric some, and the others are counted."""
    rig.source.answer = lambda request: iter(
        {"customer": f"c{number:02}", "a": number, "b": number * 1000} for number in range(12)
    )
    metrics = [MetricDefinition("core.a", "COUNT", "a"), MetricDefinition("core.b", "COUNT", "b")]
    rig.start(rig.windowed("core.x", metric=None, metrics=metrics))
    rig.advance(timedelta(minutes=2))
    html = ask(rig, "/")[1]
    labels = re.findall(r"</b> <span>([^<]+)</span>", html)
    assert labels == ["core.a customer=c11", "core.b customer=c11", "core.a customer=c10"]
    assert "and 21 smaller" in html
    assert "7 more are not shown" in ask(rig, "/collectors/core.x")[1]


def test_too_large_to_draw(rig: Rig) -> None:
    """A reading of many thousand metrics is not drawn, and the page says so."""
    rig.source.answer = lambda request: iter(
        {"customer": f"customer-{number}", "value": 1} for number in range(5000)
    )
    rig.start(rig.windowed("core.x"))
    rig.advance(timedelta(minutes=2))
    assert "more metrics than are drawn" in ask(rig, "/collectors/core.x")[1]
    assert '<div class="spark">' not in ask(rig, "/")[1]


def test_the_store_is_asked_little(rig: Rig) -> None:
    """What is known of all collectors at once is what is known of each."""
    hours = [rig.windowed(f"core.{number}", start=at("2026-01-01T20:00")) for number in range(3)]
    level = rig.snapshot("core.level")
    rig.start(*hours, level)
    rig.advance(timedelta(minutes=3))
    with rig.store() as store:
        coverages = store.coverages()
        assert len(coverages) == 3
        for each in hours:
            assert coverages[key_of(each)] == store.coverage(key_of(each))
        runs = store.latest_runs(["core.level", "core.0", "unknown"], 2)
        assert runs["core.level"] == store.runs("core.level", 2)[::-1][-2:]
        assert [run.window for run in runs["core.0"]][-1] == store.runs("core.0", 1)[0].window
        assert runs["unknown"] == []
        since = {"core.0": at("2026-01-01T22:00"), "core.level": START, "unknown": START}
        seen = store.retained_since(since)
        assert [(each.start.hour, each.readings) for each in seen["core.0"]] == [(22, 1), (23, 1)]
        assert seen["core.level"] == seen["unknown"] == []
        lines = store.lines_of([seen["core.0"][0].reading, 10**9], 10_000)
        assert b'"core.test"' in lines[seen["core.0"][0].reading] or len(lines) == 2
        assert store.lines_of([seen["core.0"][0].reading], 10) == {}
        found = of_collectors(store, [*hours, level], [], rig.now, is_running=True)
        assert [each.state for each in found] == ["ok"] * 4


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.lists(
        st.tuples(names, st.dictionaries(names, names, max_size=3), st.none() | st.integers()),
        max_size=5,
        unique_by=lambda each: (each[0], tuple(sorted(each[1].items()))),
    )
)
def test_series_are_found_in_lines(metrics) -> None:
    """Whatever a metric and its tags are called, its value is found in the lines of a reading."""
    made = [
        Metric(
            uuid=NAMESPACE,
            name=name,
            value=value,
            type="COUNT",
            tags=tags,
            timestamp=START,
            grain_datetime=START,
            collector="core.test",
        )
        for name, tags, value in metrics
    ]
    found = values_of(b"".join(each.encode() + b"\n" for each in made))
    assert [point.text for point in found.values()] == [
        None if value is None else str(value) for _, _, value in metrics
    ]


def test_the_largest_come_first() -> None:
    """Each metric's largest series comes before any second; what cannot be drawn is passed over."""
    values = {
        ("a", 1): "1",
        ("a", 2): "20",
        ("b", 1): "5",
        ("b", 2): None,
        ("c", 1): "1" + "0" * 400,
    }
    found = {(name.encode(), str(tag).encode()): Point("", text)
             for (name, tag), text in values.items()}  # fmt: skip
    keys = [(name.decode(), int(tag)) for name, tag in largest(found, 3, 2)]
    assert keys == [("a", 2), ("b", 1), ("a", 1)]


def test_marks_of_windows() -> None:
    """A window is read, revised, failed, skipped or late; those before the start are left out."""
    grain = Grain.parse("1h")
    windows = strip.last_windows(grain, START + 6 * HOUR + timedelta(minutes=5), 7)
    assert [each.start for each in windows] == [START + hour * HOUR for hour in range(-1, 6)]
    failing = windows[3]
    coverage = Coverage(
        START,
        covered=Intervals.of([(START, START + 2 * HOUR)]),
        skipped=Intervals.of([(START + 3 * HOUR, START + 4 * HOUR)]),
        failures={failing.start: Failure(failing, "no such table", 1, START)},
    )
    found = strip.of_windows(windows, coverage, {START: 1, START + HOUR: 2})
    assert [each.kind for each in found.marks] == [
        "read", "revised", "failed", "skipped", "late", "late"
    ]  # fmt: skip
    assert found.summary == "last 6 windows: 1 read, 1 revised, 1 failed, 2 late, 1 skipped"
    again = evolve(coverage, failures={})
    assert strip.of_windows(windows, again, {}).marks[2].kind == "late"


@given(st.lists(st.none() | st.floats(-1e300, 1e300), max_size=30))
def test_lines_stay_in_their_frame(numbers) -> None:
    """Whatever the values are, a line stays within its frame, and each value is a point of it."""
    path = sparkline(numbers, 84, 20)
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML](\S+) ([^hML]+)", path)]
    assert len(points) == sum(number is not None for number in numbers)
    assert all(0 <= x <= 84 and 0 <= y <= 20 for x, y in points)
    drawn = plot([("a", numbers)], ["x"] * len(numbers))
    assert (drawn is None) == (not points)
    if drawn:
        assert 3 <= len(drawn.up) <= 7
        assert 0 <= drawn.lines[0].at <= drawn.HEIGHT


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (950, "950"),
        (1200, "1.2k"),
        (-3_400_000, "-3.4M"),
        (1e20, "1e+20"),
        (0.25, "0.25"),
    ],
)
def test_short_numbers(number, expected) -> None:
    """Numbers on an axis are short."""
    assert short(number) == expected


@pytest.mark.parametrize(
    ("grain", "zone", "start", "expected"),
    [
        ("1d", "Europe/Paris", "2026-03-28T23:00", "2026-03-29"),
        ("1w", "UTC", "2026-01-05", "week of 2026-01-05"),
        ("1mo", "Asia/Tokyo", "2026-01-31T15:00", "2026-02"),
        ("1q", "UTC", "2026-10-01", "2026 Q4"),
        ("1y", "UTC", "2026-01-01", "2026"),
        ("1h", "Asia/Kolkata", "2026-01-01T00:00", "2026-01-01 05:30"),
        ("30s", "UTC", "2026-01-01T00:00:30", "2026-01-01 00:00:30"),
    ],
)
def test_names_of_buckets(grain, zone, start, expected) -> None:
    """A bucket is called what a calendar in its zone calls it."""
    parsed = Grain.parse(grain, zone)
    assert words.bucket(parsed.window(at(start)), parsed, zone) == expected


def test_a_bucket_of_another_grain() -> None:
    """A bucket from before the grain was changed is told by its bounds."""
    window = Grain.parse("1h").window(START + HOUR)
    assert words.bucket(window, Grain.parse("1d"), "UTC") == str(window)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_spans_of_time(seconds, expected) -> None:
    """A span of time is told in its two largest units."""
    assert words.roughly(timedelta(seconds=seconds)).replace("\u00a0", " ") == expected
