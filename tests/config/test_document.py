"""One document, one collector: every key, its default, and its mistakes."""

# Tables of mistakes read best with one a line:
# ruff: noqa: E501

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from parts.configured import Cron, Interval
from signals_core.collector import MetricDefinition, WindowPolicy

SNAPSHOT = """\
name: a
metric: {name: m, type: GAUGE}
schedule: {interval: 30s}
source: {type: shop, config: {uri: db://x, sql: SELECT 1 AS value}}
sinks: {c: {type: console}}
"""

WINDOWED = """\
name: a
metric: {name: m, type: COUNT}
grain: 1d
timezone: Europe/Paris
window: {start: 2026-01-01}
source:
  type: shop
  config:
    uri: db://x
    sql: a :window_start :window_end
sinks: {c: {type: console}}
"""

NOT_SET = (
    "the environment variable NO_SUCH_VARIABLE is not set "
    "(set it, or give a default as in ${NAME:-default})"
)


def replaced(text, *changes):
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_defaults(folder):
    """A snapshot collector with no more than it needs has these defaults."""
    collector = folder.collector(SNAPSHOT)
    assert (collector.name, collector.id) == ("a", "a")
    assert collector.metric == MetricDefinition("m", "GAUGE", "value", {}, None, None)
    assert (collector.grain, collector.timezone, collector.tags) == (None, "UTC", {})
    assert collector.window is None
    assert (collector.timeout, collector.max_rows) == (timedelta(seconds=60), 100_000)
    assert (collector.owner, collector.description) == (None, None)
    assert collector.query.sql == "SELECT 1 AS value"


def test_every_key(folder):
    """Every key of a windowed collector lands where it is meant to."""
    collector = folder.collector(
        WINDOWED.replace("name: a\n", "name: a\nid: b\nowner: team\ndescription: what\n")
        .replace(
            "{name: m, type: COUNT}", "{name: m, type: SUM, value: v, unit: EUR, tags: {x: y}}"
        )
        .replace(
            "{start: 2026-01-01}",
            "{start: 2026-01-01, grace: 5m, catch_up: 3, revise: [1h, 1d]}",
        )
        + "timeout: 5m\nmax_rows: 7\nschedule: {cron: 5 0 * * *, timezone: Asia/Tokyo}\n"
    )
    assert (collector.name, collector.id) == ("a", "b")
    assert (collector.owner, collector.description) == ("team", "what")
    assert collector.metric == MetricDefinition("m", "SUM", "v", {}, "EUR", None)
    assert collector.tags == {"x": "y"}
    assert collector.window == WindowPolicy(
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        timedelta(minutes=5),
        3,
        [timedelta(hours=1), timedelta(days=1)],
    )
    assert (collector.timeout, collector.max_rows) == (timedelta(minutes=5), 7)
    assert collector.schedule == Cron("5 0 * * *", "Asia/Tokyo")


@pytest.mark.parametrize("value", ["1.10", "NO", "010", "1:30", "2026-01-01", "'~'", "true", "''"])
def test_tags_letter_by_letter(folder, value):
    """A tag is the letters that were written."""
    collector = folder.collector(SNAPSHOT + f"tags: {{t: {value}}}\n")
    assert collector.tags == {"t": value.strip("'")}


@pytest.mark.parametrize("value", ["~", "null", ""])
def test_tags_that_are_null(folder, value):
    """A tag that is a bare null is not there, in the collector and in a metric."""
    assert folder.collector(SNAPSHOT + f"tags:\n  t: {value}\n  u: v\n").tags == {"u": "v"}
    many = replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}", "")) + (
        f"metrics:\n  - name: m\n    type: SUM\n    value: v\n    tags:\n      t: {value}\n"
    )
    assert folder.collector(many).metrics[0].tags == {}


def test_metric_grain_and_tags_are_the_collectors(folder):
    """`metric.grain` and `metric.tags` are read as the collector's, and may say the same twice."""
    metric = "metric: {name: m, type: COUNT, grain: 1d, tags: {a: b, c: d}}"
    text = replaced(
        WINDOWED, ("metric: {name: m, type: COUNT}", metric), ("grain: 1d\ntime", "time")
    )
    collector = folder.collector(text + "tags: {e: f, a: b}")
    assert (collector.grain, collector.tags) == ("1d", {"e": "f", "a": "b", "c": "d"})
    assert collector.metric.tags == {}
    assert folder.collector(text + "tags: ~").tags == {"a": "b", "c": "d"}


def test_metric_grain_and_tags_that_differ(folder):
    """Two different grains, or two values of one tag, are mistakes."""
    metric = "metric:\n  name: m\n  type: COUNT\n  grain: 1h\n  tags:\n    a: b"
    folder.write(c=replaced(WINDOWED, ("metric: {name: m, type: COUNT}", metric)) + "tags: {a: c}")
    assert folder.problems() == [
        "c.yaml:5: metric.grain: the collector has a grain already (keep one of the two)",
        "c.yaml:7: metric.tags.a: the collector has a tag 'a' already (keep one of the two)",
    ]


def test_metrics(folder):
    """Several metrics of one query each name their column."""
    collector = folder.collector(
        replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}\n", ""))
        + "metrics:\n  - {name: a, type: COUNT, value: n}\n  - {name: b, type: SUM, value: s, unit: EUR}\n"
    )
    assert collector.metric is None
    assert collector.metrics == [
        MetricDefinition("a", "COUNT", "n"),
        MetricDefinition("b", "SUM", "s", unit="EUR"),
    ]


def test_mistakes_in_metrics(folder):
    """Each wrong definition is told at its place, and those of the others still are."""
    folder.write(
        c=replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}\n", ""))
        + """\
tags: {x: y}
metrics:
  - name: a
    type: COUNTS
    value: n
  - {name: a, type: SUM}
  - nonsense
  - {name: b, type: SUM, value: v, tags: {x: z}}
  - {name: c, type: SUM, value: v, was: d}
  - {name: e, type: SUM, value: v}
  - {name: e, type: SUM, value: w}
  - {name: '', type: SUM, value: w, tags: {p.q: 1}}
"""
    )
    assert folder.problems() == [
        "c.yaml:8: metrics[0].type: 'COUNTS' is none of its values (did you mean COUNT?)",
        "c.yaml:10: metrics[1].value: is missing (name the column of the number)",
        "c.yaml:11: metrics[2]: is text (write {name: …, type: COUNT})",
        (
            "c.yaml:12: metrics[3].tags.x: the tag 'x' is configured for the collector already "
            "(keep one of the two)"
        ),
        "c.yaml:13: metrics[4].was: is reserved for a later version",
        (
            "c.yaml:15: metrics[6]: the metric 'e' is there already with the same tags "
            "(give one of the two another name or a tag of its own)"
        ),
        "c.yaml:16: metrics[7].name: must not be empty",
    ]


@pytest.mark.parametrize(
    ("metrics", "what"),
    [
        ("[]", "is empty (write [{name: …, type: COUNT, value: …}])"),
        ("{name: m}", "is a mapping (write a list of metrics)"),
        ("m", "is text (write a list of metrics)"),
    ],
)
def test_metrics_are_a_list(folder, metrics, what):
    """The metrics are a list of at least one."""
    text = replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}", f"metrics: {metrics}"))
    folder.write(c=text)
    assert folder.problems() == [f"c.yaml:2: metrics: {what}"]


def test_tags_with_dots_have_their_place(folder):
    """A key that holds dots is found all the same."""
    folder.write(
        c=replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}\n", ""))
        + "tags: {a.b: c}\nmetrics:\n  - name: m\n    type: SUM\n    value: v\n"
        "    tags:\n      a: 1\n      a.b: 2\n"
    )
    assert folder.problems() == [
        (
            "c.yaml:12: metrics[0].tags.a.b: the tag 'a.b' is configured for the collector already "
            "(keep one of the two)"
        )
    ]


EXACTLY_ONE = "exactly one of metric and metrics is needed (write metric: {name: …, type: COUNT})"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("metric: ~\n", "2: metric"),
        ("metrics:\n", "1: metric"),
        ("metric: {name: m, type: SUM}\nmetrics: [{name: m, type: SUM, value: v}]\n", "3: metrics"),
    ],
)
def test_metric_or_metrics(folder, text, place):
    """Exactly one of metric and metrics is needed."""
    folder.write(c=replaced(SNAPSHOT, ("metric: {name: m, type: GAUGE}\n", text)))
    assert folder.problems() == [f"c.yaml:{place}: {EXACTLY_ONE}"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: a\n", "", "1: name: is missing"),
        ("name: a\n", "name: ~\n", "1: name: is missing"),
        ("name: a\n", "name: ''\n", "1: name: must not be empty"),
        ("name: a\n", "name: a/b\n", "1: name: 'a/b' holds a slash (use dots to separate words)"),
        ("name: a\n", "name: [a]\n", "1: name: is a list (write text)"),
        ("name: a\n", "name: a\nid: ''\n", "2: id: must not be empty"),
        (
            "schedule: {interval: 30s}\n",
            "",
            "1: schedule: is missing (write schedule: {interval: 1m}, or a window)",
        ),
        ("sinks: {c: {type: console}}\n", "", "1: sinks: is missing (write sinks: {console: {type: console}})"),
        ("sinks: {c: {type: console}}\n", "sinks: {}\n", "5: sinks: is empty (metrics must go somewhere)"),
        ("sinks: {c: {type: console}}\n", "sinks: []\n", "5: sinks: is empty (metrics must go somewhere)"),
        ("sinks: {c: {type: console}}\n", "sinks: console\n", "5: sinks: is text (write {NAME: {type: …}} or [NAME])"),
        ("{c: {type: console}}", "{a/b: {type: console}}", "5: sinks.a/b: 'a/b' is no name (write one without a slash)"),
        ("{c: {type: console}}", "{c: {}}", "5: sinks.c: needs exactly one of type and use (write type: …)"),
        ("{c: {type: console}}", "{c: ~}", "5: sinks.c: is empty (write a sink as {type: …, config: …})"),
        ("{c: {type: console}}", "{c: {typ: console}}", "5: sinks.c.typ: is no known key (did you mean type?)"),
        ("{type: console}", "{type: consol}", "5: sinks.c.type: no plugin brings the sink type 'consol' (did you mean console?)"),
        ("{type: console}", "{type: console, config: {x: y}}", "5: sinks.c.config.x: is no known key (known: batch_bytes, batch_metrics)"),
        ("{type: console}", "{type: console, confg: {}}", "5: sinks.c.confg: is no known key (did you mean config?)"),
        ("{type: console}", "{type: console, config: [x]}", "5: sinks.c.config: is a list (write a mapping)"),
        ("{type: console}", "{type: console, use: x}", "5: sinks.c: needs exactly one of type and use (take one of the two out)"),
        ("{type: console}", "{type: file}", "5: sinks.c.config.path: is missing (it takes a path)"),
        ("{type: shop", "{type: postgres", "4: source.type: the source type 'postgres' is not installed (pip install signals-postgres)"),
        ("uri: db://x, ", "", "4: source.config.uri: is missing (it takes a secret)"),
        ("uri: db://x, ", "url: db://x, uri: db://x, ", "4: source.config.url: is no known key (did you mean uri?)"),
        ("uri: db://x, ", "uri: db://x, port: 0, ", "4: source.config.port: 'port' must be >= 1: 0"),
        ("uri: db://x, ", "uri: db://x, mode: w, ", "4: source.config.mode: 'mode' must be in ['ro', 'rw'] (got 'w')"),
        ("SELECT 1 AS value", "DROP", "4: source.config.sql: the query drops something"),
        ("SELECT 1 AS value", "':nonsense'", "4: source.config.sql: the query uses :nonsense, which signals does not know (known: :window_start, :window_end, :window_start_local, :window_end_local)"),
        ("SELECT 1 AS value", "':window_end'", "4: source.config.sql: the query uses :window_end but the collector has no window (add window: {} and a grain, or take the bounds out of the query)"),
        ("{interval: 30s}", "30s", '3: schedule: is text (write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …})'),
        ("{interval: 30s}", "{}", '3: schedule: is no schedule (write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …})'),
        ("{interval: 30s}", "{every: 30s}", '3: schedule: is no schedule (write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …})'),
        ("{interval: 30s}", "{interval: 30s, cron: x}", '3: schedule: is no schedule (write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …})'),
        ("{interval: 30s}", "{interval: 0s}", "3: schedule.interval: an interval of zero never ends (write it like 30s or 1h)"),
        ("{interval: 30s}", "{interval: 30s, timezone: UTC}", "3: schedule.timezone: is no known key (known: interval)"),
        ("{interval: 30s}", "{cron: 5 0 * *}", "3: schedule.cron: '5 0 * *' is no cron expression"),
        ("{interval: 30s}", "{type: interval}", "3: schedule.config.interval: is missing (it takes a duration such as 30s, 1h30m or 1.5h)"),
        ("{interval: 30s}", "{use: x}", '3: schedule: is no schedule (write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …})'),
        ("name: a\n", "name: a\ngrian: 1d\n", "2: grian: is no known key (did you mean grain?)"),
        ("name: a\n", "name: a\ngrain: 3d\n", "2: grain: '3d' is no grain: calendar units stand alone, as 1d, 1w, 1mo, 1q, 1y (for other lengths write hours: 48h)"),
        ("name: a\n", "name: a\ntimezone: Paris\n", "2: timezone: 'Paris' is no time zone (write it like UTC or Europe/Paris)"),
        ("name: a\n", "name: a\ntimezone: ''\n", "2: timezone: '' is no time zone (write it like UTC or Europe/Paris)"),
        ("name: a\n", "name: a\nmax_rows: 3.7\n", "2: max_rows: '3.7' is not a whole number"),
        ("name: a\n", "name: a\nmax_rows: 0\n", "2: max_rows: must be more than zero"),
        ("name: a\n", "name: a\ntimeout: 0s\n", "2: timeout: must be more than zero"),
        ("name: a\n", "name: a\nname: b\n", "2: name: the key is there twice: in line 1 and here"),
        ("name: a\n", "name: a\ntags: [a]\n", "2: tags[0]: is text (write tags as a mapping: {env: prod})"),
        ("name: a\n", "name: a\ntags: x\n", "2: tags: is text (write a mapping)"),
        ("{name: m, type: GAUGE}", "m", "2: metric: is text (write {name: …, type: COUNT})"),
        ("{name: m, type: GAUGE}", "{name: m}", "2: metric.type: is missing (it takes one of COUNT, SUM, GAUGE)"),
        ("{name: m, type: GAUGE}", "{name: m, type: count}", "2: metric.type: 'count' is none of its values (did you mean COUNT?)"),
        ("{name: m, type: GAUGE}", "{name: m, type: SUM, nmae: x}", "2: metric.nmae: is no known key (did you mean name?)"),
        ("{name: m, type: GAUGE}", "{name: m, type: SUM, was: x}", "2: metric.was: is reserved for a later version"),
        ("name: a\n", "name: a\nwindow: {}\ngrain: 1d\n", "6: source.config.sql: the query of a windowed collector must use its window: :window_start is missing (as in WHERE t >= :window_start AND t < :window_end)"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line(folder, old, new, problem):
    """Each mistake is told once, at its place, with what would be right, and nothing else is."""
    folder.write(c=replaced(SNAPSHOT, (old, new)))
    loaded = folder.load()
    assert [str(each) for each in loaded.problems] == [f"c.yaml:{problem}"]
    assert not loaded.collectors


@pytest.mark.parametrize("key", "tests labels was for_each fill expect retention receipt".split())
def test_reserved_keys(folder, key):
    """A key that a later version will give a meaning is refused by name."""
    folder.write(c=SNAPSHOT + f"{key}: x\n")
    assert folder.problems() == [f"c.yaml:6: {key}: is reserved for a later version"]


def test_files_of_plugins_are_named_by_the_project(folder):
    """A collector cannot have code of its own run: that is for the project file to say."""
    folder.write(c=SNAPSHOT + "plugins: [./mine.py]\n")
    folder.file("mine.py", "open('was-here', 'w').close()")
    assert folder.problems() == ["c.yaml:6: plugins: is a key of the project (see signals.yaml)"]
    assert not (folder.path / "was-here").exists()


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        ("{partial: x}", "window.partial: is reserved for a later version"),
        ("x", "window: is text (write a mapping)"),
        ("{start: soon}", "window.start: 'soon' is not a date or time such as 2026-01-01 or 2026-01-01T06:00Z"),
        ("{grace: -1m}", "window.grace: '-1m' is not a duration such as 30s, 1h30m or 1.5h"),
        ("{catch_up: most}", "window.catch_up: 'most' is not a whole number"),
        ("{catch_up: 0}", "window.catch_up: must be all or a number from 1"),
        ("{revise: 1h}", "window.revise: is text (write a list)"),
        ("{revise: [1h, 0s]}", "window.revise[1]: must be more than zero"),
        ("{stat: 2026-01-01}", "window.stat: is no known key (did you mean start?)"),
    ],
)  # fmt: skip
def test_mistakes_in_windows(folder, window, problem):
    """Each mistake of a window is told at its key, and a failed window needs no schedule."""
    folder.write(c=replaced(WINDOWED, ("{start: 2026-01-01}", window)))
    assert folder.problems() == [f"c.yaml:5: {problem}"]


@pytest.mark.parametrize("window", ["{}", "{catch_up: all}", "{catch_up: ~, grace: ~, start: ~}"])
def test_window_defaults(folder, window):
    """A window may be empty; `catch_up: all` is the default in words."""
    collector = folder.collector(replaced(WINDOWED, ("{start: 2026-01-01}", window)))
    assert collector.window == WindowPolicy()


def test_a_window_needs_a_grain(folder):
    """A windowed collector without a grain is told so, once, at its window."""
    folder.write(c=replaced(WINDOWED, ("grain: 1d\n", "")))
    assert folder.problems() == [
        "c.yaml:4: window: a windowed collector needs a grain (add one, as in grain: 1d)"
    ]


def test_a_query_that_ignores_its_window(folder):
    """It is told at the line of the query, in another source's terms too."""
    folder.write(
        c=replaced(WINDOWED, ("a :window_start :window_end", "a >= :window_start")),
        d=replaced(
            WINDOWED,
            ("name: a", "name: d"),
            ("type: shop", "type: documents"),
            ("    sql: a :window_start :window_end", "    database: d\n    collection: $\n    agg:\n      - x"),
        ),
        e=replaced(
            WINDOWED,
            ("name: a", "name: e"),
            ("type: shop", "type: documents"),
            ("    sql: a :window_start :window_end", "    database: d\n    collection: e\n    agg:\n      - x"),
        ),
    )  # fmt: skip
    remedy = "(as in WHERE t >= :window_start AND t < :window_end)"
    must = "the query of a windowed collector must use its window"
    assert folder.problems() == [
        f"c.yaml:10: source.config.sql: {must}: :window_end is missing {remedy}",
        "d.yaml:11: source.config.collection: '$' is no name of a collection",
        f"e.yaml:12: source.config.agg: {must}: :window_start is missing {remedy}",
    ]


def test_both_spellings_of_bounds(folder):
    """The local bounds serve as well, and may be mixed."""
    found = folder.collector(replaced(WINDOWED, (":window_end", ":window_end_local")))
    assert found.source.parameters(found.query) == {"window_start", "window_end_local"}


def test_schedules(folder):
    """The short forms are those of the built-in types, the long form is any type's."""
    for text, expected in [
        ("{interval: 1h}", Interval(timedelta(hours=1))),
        ("{type: interval, config: {interval: 1h}}", Interval(timedelta(hours=1))),
        ('{cron: "5 0 * * *"}', Cron("5 0 * * *")),
        ("{cron: 5 0 * * *, timezone: Europe/Paris}", Cron("5 0 * * *", "Europe/Paris")),
        ("{type: cron, config: {cron: 5 0 * * *}}", Cron("5 0 * * *")),
    ]:
        found = folder.collector(replaced(SNAPSHOT, ("{interval: 30s}", text)))
        assert found.schedule == expected


def test_several_mistakes_come_together(folder):
    """One mistake hides no other, and what could not be read is not complained about again."""
    folder.write(
        c="""\
name: a/b
grain: 1x
metric: {type: COUNT, value: [x]}
timeout: soon
window: {start: 1}
source: {type: shop, config: {url: x, sql: [q]}}
sinks: {c: {type: consol}, d: {type: file, config: {paht: x}}}
nonsense: 1
"""
    )
    assert folder.problems() == [
        "c.yaml:1: name: 'a/b' holds a slash (use dots to separate words)",
        "c.yaml:2: grain: '1x' is no grain (write it like 30s, 1h, 1d, 1w, 1mo, 1q or 1y)",
        "c.yaml:3: metric.name: is missing (it takes text)",
        "c.yaml:3: metric.value: is a list (write text)",
        "c.yaml:4: timeout: 'soon' is not a duration such as 30s, 1h30m or 1.5h",
        "c.yaml:5: window.start: '1' is not a date or time such as 2026-01-01 or 2026-01-01T06:00Z",
        "c.yaml:6: source.config.sql: is a list (write text)",
        "c.yaml:6: source.config.uri: is missing (it takes a secret)",
        "c.yaml:6: source.config.url: is no known key (did you mean uri?)",
        "c.yaml:7: sinks.c.type: no plugin brings the sink type 'consol' (did you mean console?)",
        "c.yaml:7: sinks.d.config.paht: is no known key (did you mean path?)",
        "c.yaml:7: sinks.d.config.path: is missing (it takes a path)",
        (
            "c.yaml:8: nonsense: is no known key (known: description, grain, id, max_rows, metric, "
            "metrics, name, owner, schedule, sinks, source, tags, timeout, timezone, window)"
        ),
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "listed"),
    [
        ("uri: db://x", "uri: '${NO_SUCH_VARIABLE}'", "4: source.config.uri", True),
        ("SELECT 1 AS value", "'${NO_SUCH_VARIABLE}'", "4: source.config.sql", True),
        ("SELECT 1 AS value", "'${NO_SUCH_VARIABLE} :window_start'", "4: source.config.sql", False),
        ("name: a\n", "name: a\nowner: ${NO_SUCH_VARIABLE}\n", "2: owner", True),
        ("type: shop", "type: '${NO_SUCH_VARIABLE}'", "4: source.type", False),
        ("type: shop", "use: '${NO_SUCH_VARIABLE}'", "4: source.use", False),
        ("name: a\n", "name: a\nmax_rows: ${NO_SUCH_VARIABLE}\n", "2: max_rows", False),
        ("name: a\n", "name: a\ngrain: ${NO_SUCH_VARIABLE}\n", "2: grain", False),
        ("name: a\n", "name: a\ntimezone: ${NO_SUCH_VARIABLE}\n", "2: timezone", False),
        ("type: console", "type: http, config: {uri: '${NO_SUCH_VARIABLE}'}", "5: sinks.c.config.uri", False),
    ],
)  # fmt: skip
def test_unset_variables_are_warnings(folder, old, new, path, listed):
    """An unset variable is one warning; a collector that can do without it for now is listed."""
    folder.write(c=replaced(SNAPSHOT, (old, new)))
    loaded = folder.load()
    assert [str(each) for each in loaded.problems] == [f"c.yaml:{path}: {NOT_SET}"]
    assert all(each.warning for each in loaded.problems)
    assert len(loaded.collectors) == listed
    assert loaded.waiting == ([] if listed else ["a"])


def test_a_type_that_cannot_be_imported(folder):
    """A type whose package is broken is a mistake at the type that names it."""
    folder.write(c=replaced(SNAPSHOT, ("type: shop", "type: gone")))
    (problem,) = folder.problems()
    assert problem.startswith("c.yaml:4: source.type: no_such_module:Gone of tests 1 cannot be ")
