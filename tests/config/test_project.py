"""What collectors share: sources, sinks, defaults and the time zone of signals.yaml."""

# Tables of mistakes read best with one a line:
# ruff: noqa: E501

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from parts.configured import File, Interval
from signals_core.collector import WindowPolicy

COLLECTOR = """\
name: {name}
metric: {{name: m, type: GAUGE}}
source: {{use: shop, config: {{sql: q}}}}
"""

PROJECT = """\
version: 1
timezone: Europe/Paris
sources:
  shop: {type: shop, config: {uri: db://x}}
sinks:
  lake: {type: http, config: {uri: "http://lake"}}
  disk: {type: file, config: {path: out.jsonl}}
defaults:
  tags: {env: prod, team: a}
  schedule: {interval: 1m}
  sinks: [lake]
  timeout: 5m
  owner: data-team
"""


def collectors(*names):
    return {name: COLLECTOR.format(name=name) for name in names}


def test_a_project(folder):
    """Collectors are completed by the project: shared source and sinks, defaults, time zone."""
    folder.write(signals=PROJECT, **collectors("a", "b"))
    loaded = folder.load()
    assert not loaded.problems
    assert loaded.project_file == Path("signals.yaml")
    a, b = (each.collector for each in loaded.collectors)
    assert (a.timezone, a.tags, a.owner) == (
        "Europe/Paris",
        {"env": "prod", "team": "a"},
        "data-team",
    )
    assert a.schedule == Interval(timedelta(minutes=1))
    assert a.timeout == timedelta(minutes=5)
    assert a.source is b.source
    assert a.sinks["lake"] is b.sinks["lake"]
    assert list(a.sinks) == ["lake"]


def test_own_keys_win(folder):
    """Tags merge by key, all else is replaced whole, and a null takes a default away."""
    own = (
        "tags: {env: dev, team: ~, x: y}\nsinks: {d: {use: disk}}\nschedule: {cron: 5 0 * * *}\n"
        "timezone: Asia/Tokyo\nowner: ~\ntimeout:\n"
    )
    collector = folder.collector(COLLECTOR.format(name="a") + own, signals=PROJECT)
    assert collector.tags == {"env": "dev", "x": "y"}
    assert list(collector.sinks) == ["disk"]
    assert collector.schedule.cron == "5 0 * * *"
    assert (collector.timezone, collector.owner) == ("Asia/Tokyo", None)
    assert collector.timeout == timedelta(seconds=60)


def test_all_tags_taken_away(folder):
    """A null in place of the tags takes all default tags away."""
    collector = folder.collector(COLLECTOR.format(name="a") + "tags: ~", signals=PROJECT)
    assert collector.tags == {}


def test_tags_and_grain_of_the_metric_win_over_defaults(folder):
    """What stands in the metric is the collector's own, so a default gives way to it."""
    text = COLLECTOR.format(name="a").replace("GAUGE}", "GAUGE, grain: 1h, tags: {env: dev}}")
    collector = folder.collector(text, signals=PROJECT + "  grain: 1d\n")
    assert collector.grain == "1h"
    assert collector.tags == {"env": "dev", "team": "a"}


def test_collectors_in_the_project_file(folder):
    """What follows in signals.yaml are collectors; they are read when the file is asked for."""
    folder.write(signals=f"{PROJECT}---\n{COLLECTOR.format(name='a')}", **collectors("b"))
    assert [each.collector.name for each in folder.load().collectors] == ["a", "b"]
    assert [each.collector.name for each in folder.load("signals.yaml").collectors] == ["a"]
    assert [each.collector.name for each in folder.load("b.yaml").collectors] == ["b"]


def test_a_time_zone_that_is_not_set(folder):
    """A time zone from a variable that is not set is a warning, and its collectors wait for it."""
    folder.write(
        signals=PROJECT.replace("Europe/Paris", "${NO_SUCH_VARIABLE}"), **collectors("a", "b")
    )
    loaded = folder.load()
    assert [(str(each).split(" (")[0], each.warning) for each in loaded.problems] == [
        ("signals.yaml:2: timezone: the environment variable NO_SUCH_VARIABLE is not set", True)
    ]
    assert loaded.waiting == ["a", "b"]


def test_another_project_file(folder):
    """With --project the nearest signals.yaml is a file like others: its project is passed over."""
    folder.write(
        signals="version: 1\nsources: {shop: {type: nonsense}}\n---\n" + COLLECTOR.format(name="a"),
        prod=PROJECT,
        **collectors("b"),
    )
    loaded = folder.load(project="prod.yaml")
    assert not loaded.problems
    assert loaded.passed_over == ["signals.yaml:1"]
    assert [each.collector.name for each in loaded.collectors] == ["b", "a"]


def test_a_project_file_that_is_not_there(folder):
    """It is one mistake, and nothing is said of what it may hold; collectors are read all the same."""
    folder.write(**collectors("a"), b=COLLECTOR.format(name="b").replace("GAUGE", "GAUGES"))
    assert folder.problems(project="nope.yaml") == [
        "b.yaml:2: metric.type: 'GAUGES' is none of its values (did you mean GAUGE?)",
        "nope.yaml: cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "signals.yaml:1: is empty (write version: 1)"),
        ("# nothing\n---\n", "signals.yaml:1: is empty (write version: 1)"),
        ("- a\n", "signals.yaml:1: is a list (write a mapping)"),
        ("version: [\n", "signals.yaml:2: is no YAML: did not find expected node content, while parsing a flow node"),
        ("version: 1\nsources: []\ndefaults: {schedule: {interval: 1m}, sinks: {c: {type: console}}}\n", "signals.yaml:2: sources: is a list (write {NAME: {type: …}})"),
        ("version: 1\nsources: {shop: {type: shop, config: {uri: db://x}}}\ndefaults: x\n", "signals.yaml:3: defaults: is text (write a mapping)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_mistake(folder, text, problem):
    """When the project, or a part of it, cannot be read, three hundred collectors stay silent."""
    folder.write(signals=text, **collectors("a", "b", "c"))
    assert folder.problems() == [problem]


def test_a_collector_in_place_of_the_project(folder):
    """A signals.yaml that begins with a collector is told so, once."""
    folder.write(signals=COLLECTOR.format(name="a"), **collectors("b"))
    assert folder.problems() == [
        (
            "signals.yaml:1: a collector stands where the project belongs "
            "(rename the file, or put a document with version: 1 before it)"
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1\n", "", "1: version: is missing (write version: 1)"),
        ("version: 1\n", "version: 2\n", "1: version: is no version known here (write version: 1)"),
        ("version: 1\n", "version: 1\nplugins: x\n", "2: plugins: is text (write [./mine.py])"),
        ("version: 1\n", "version: 1\nplugins: [[x]]\n", "2: plugins[0]: is a list (write a path)"),
        ("version: 1\n", "version: 1\nplugins: ['']\n", "2: plugins[0]: '' is not a path"),
        ("  owner: data-team", "  plugins: [x.py]", "13: defaults.plugins: is no known key (known: description, grain, max_rows, owner, schedule, sinks, tags, timeout, window)"),
        ("version: 1\n", "version: 1\nretention: x\n", "2: retention: is reserved for a later version"),
        ("version: 1\n", "version: 1\nsource: {}\n", "2: source: is no known key (did you mean sources?)"),
        ("version: 1\n", "version: 1\nsuorces: {}\n", "2: suorces: is no known key (did you mean sources?)"),
        ("Europe/Paris", "Paris", "2: timezone: 'Paris' is no time zone (write it like UTC or Europe/Paris)"),
        ("Europe/Paris", "[UTC]", "2: timezone: is a list (write text)"),
        ("  lake:", "  a/b: {type: console}\n  lake:", "6: sinks.a/b: 'a/b' is no name (write one without a slash)"),
        ("  owner: data-team", "  name: x", "13: defaults.name: cannot have a default"),
        ("  owner: data-team", "  timezone: UTC", "13: defaults.timezone: cannot have a default (set timezone beside defaults)"),
        ("  owner: data-team", "  ownr: x", "13: defaults.ownr: is no known key (did you mean owner?)"),
        ("  owner: data-team", "  owner: [x]", "13: defaults.owner: is a list (write text)"),
        ("timeout: 5m", "timeout: 5", "12: defaults.timeout: '5' is not a duration such as 30s, 1h30m or 1.5h"),
        ("interval: 1m", "interval: 0s", "10: defaults.schedule.interval: an interval of zero never ends (write it like 30s or 1h)"),
        ("sinks: [lake]", "sinks: [like]", "11: defaults.sinks[0]: there is no shared sink 'like' (did you mean lake?)"),
        ("uri: db://x", "url: db://x, uri: db://x", "4: sources.shop.config.url: is no known key (did you mean uri?)"),
        ("uri: db://x", "port: 1", "4: sources.shop.config.uri: is missing (it takes a secret)"),
        ("uri: db://x", "uri: db://x, port: 0", "4: sources.shop.config.port: 'port' must be >= 1: 0"),
        ("{type: shop, config: {uri: db://x}}", "{type: shopp, config: {uri: db://x}}", "4: sources.shop.type: no plugin brings the source type 'shopp' (did you mean shop?)"),
        ("{type: shop, config: {uri: db://x}}", "{type: shop, confg: {uri: db://x}, config: {uri: db://x}}", "4: sources.shop.confg: is no known key (did you mean config?)"),
        ("{type: shop, config: {uri: db://x}}", "{use: shop}", "4: sources.shop.use: is no known key (known: config, type)\nsignals.yaml:4: sources.shop.type: is missing (write type: …)"),
        ("{type: shop, config: {uri: db://x}}", "~", "4: sources.shop: is empty (write a source as {type: …, config: …})"),
        ("http://lake", "ftp://lake", "6: sinks.lake.config.uri: uri must begin with http://"),
        ("path: out.jsonl", "paht: out.jsonl, path: x", "7: sinks.disk.config.paht: is no known key (did you mean path?)"),
        ("path: out.jsonl", "path: [x]", "7: sinks.disk.config.path: is a list (write a path)"),
    ],
)  # fmt: skip
def test_mistakes_of_a_project(folder, old, new, problem):
    """A mistake of the project is told once, at its place there, however many use what is wrong."""
    assert PROJECT.count(old) == 1
    folder.write(signals=PROJECT.replace(old, new), **collectors("a", "b", "c"))
    assert sorted(folder.problems()) == sorted(f"signals.yaml:{problem}".split("\n"))


def test_a_wrong_shared_source_does_not_hide_the_queries(folder):
    """The query of a collector is looked at although its shared source has an unknown key."""
    folder.write(
        signals=PROJECT.replace("uri: db://x", "url: db://x, uri: db://x"),
        a=COLLECTOR.format(name="a").replace("sql: q", "sql: [q]"),
        b=COLLECTOR.format(name="b").replace("sql: q", "sql: DROP"),
        c=COLLECTOR.format(name="c"),
    )
    assert not folder.load().collectors
    assert folder.problems() == [
        "a.yaml:3: source.config.sql: is a list (write text)",
        "b.yaml:3: source.config.sql: the query drops something",
        "signals.yaml:4: sources.shop.config.url: is no known key (did you mean uri?)",
    ]


def test_defaults_are_checked(folder):
    """Defaults that no collector uses are checked all the same, and told at their place."""
    defaults = (
        "defaults:\n  max_rows: 0\n  timeout: 1\n  grain: 3x\n  window: {revise: [0s]}\n"
        "  sinks: [x]\n  schedule: 1m\n  tags: [a]\n"
    )
    problems = [
        "signals.yaml:3: defaults.max_rows: must be more than zero",
        "signals.yaml:4: defaults.timeout: '1' is not a duration such as 30s, 1h30m or 1.5h",
        "signals.yaml:5: defaults.grain: '3x' is no grain (write it like 30s, 1h, 1d, 1w, 1mo, 1q or 1y)",
        "signals.yaml:6: defaults.window.revise[0]: must be more than zero",
        "signals.yaml:7: defaults.sinks[0]: there is no shared sink 'x' (signals.yaml has none)",
        (
            "signals.yaml:8: defaults.schedule: is text (write {interval: 30s}, "
            '{cron: "5 0 * * *"} or {type: …, config: …})'
        ),
        "signals.yaml:9: defaults.tags: is a list (write a mapping)",
    ]
    folder.write(signals=f"version: 1\n{defaults}")
    assert folder.problems() == problems
    source = "source: {type: shop, config: {uri: db://x, sql: ':window_start :window_end'}}\n"
    for name in "abc":
        folder.file(f"{name}.yaml", f"name: {name}\nmetric: {{name: m, type: SUM}}\n{source}")
    assert folder.problems() == problems


def test_defaults_need_not_be_complete(folder):
    """A default window without a grain is no mistake: the collectors bring theirs."""
    own = (
        "grain: 1d\nsource: {type: shop, config: {uri: db://x, sql: ':window_start :window_end'}}\n"
    )
    collector = folder.collector(
        f"name: a\nmetric: {{name: m, type: SUM}}\nsinks: {{c: {{type: console}}}}\n{own}",
        signals="version: 1\ndefaults: {window: {}}\n",
    )
    assert collector.window == WindowPolicy()


def test_unused_shared_ones_are_checked(folder):
    """What no collector uses is checked all the same."""
    folder.write(
        signals=PROJECT + "---\n" + COLLECTOR.format(name="a"),
    )
    text = PROJECT.replace("sources:\n", "sources:\n  other: {type: shop}\n")
    folder.write(
        signals=text.replace(
            "sinks:\n  lake", "sinks:\n  x: {type: http, config: {uri: y}}\n  lake"
        ),
        **collectors("a"),
    )
    assert folder.problems() == [
        "signals.yaml:4: sources.other.config.uri: is missing (it takes a secret)",
        "signals.yaml:7: sinks.x.config.uri: uri must begin with http://",
    ]


def test_a_shared_source_may_be_completed(folder):
    """Connection fields may be given by the collector; what is given by neither is missing there."""
    signals = PROJECT.replace("uri: db://x", "port: 5")
    text = COLLECTOR.format(name="a").replace("sql: q", "sql: q, uri: db://y")
    collector = folder.collector(text, signals=signals)
    assert (collector.source.port, collector.source.uri.reveal()) == (5, "db://y")
    folder.write(c=COLLECTOR.format(name="a").replace("sql: q", "sql: q, mode: rw"))
    assert folder.problems() == ["c.yaml:3: source.config.uri: is missing (it takes a secret)"]


def test_a_query_may_be_shared(folder):
    """A part of the query may stand in the shared configuration, and is at home there."""
    signals = PROJECT.replace("uri: db://x", "uri: db://x, sql: shared")
    collector = folder.collector(
        COLLECTOR.format(name="a").replace(", config: {sql: q}", ""), signals=signals
    )
    assert collector.query.sql == "shared"
    folder.write(signals=signals.replace("shared", "DROP"))
    assert folder.problems() == [
        "signals.yaml:4: sources.shop.config.sql: the query drops something"
    ]


def test_a_key_in_both(folder):
    """A key that the shared and the own configuration give is a mistake that names both."""
    folder.write(
        signals=PROJECT, a=COLLECTOR.format(name="a").replace("sql: q", "sql: q, uri: db://y")
    )
    assert folder.problems() == [
        (
            "a.yaml:3: source.config.uri: is given by the shared 'shop' already "
            "(take it out here or in signals.yaml)"
        )
    ]


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("sinks: [lake, lake]", "sinks[1]: the sink 'lake' is there already"),
        ("sinks: {a: {use: lake}, b: {use: lake}}", "sinks.b: the sink 'lake' is there already"),
        ("sinks: {lake: {type: console}, b: {use: lake}}", "sinks.b: the sink 'lake' is there already"),
        ("sinks: [laek]", "sinks[0]: there is no shared sink 'laek' (did you mean lake?)"),
        ("sinks: [{use: lake}]", "sinks[0]: is a mapping (write text)"),
        ("sinks: {a: {use: lake, config: {uri: 'http://x'}}}", "sinks.a.config: a shared sink is one for all (take this out, or give the sink a type)"),
        ("sinks: {a: {use: [lake]}}", "sinks.a.use: is a list (write text)"),
        ("schedule: {type: interval, use: x}", "schedule: needs exactly one of type and use (take one of the two out)"),
    ],
)  # fmt: skip
def test_mistakes_in_using(folder, own, problem):
    """A shared sink is used by name, once, as it is."""
    folder.write(signals=PROJECT, a=COLLECTOR.format(name="a") + own)
    assert folder.problems() == [f"a.yaml:4: {problem}"]


def test_no_project(folder):
    """Without a project file, using something shared says so."""
    folder.write(a=COLLECTOR.format(name="a") + "sinks: [lake]\nschedule: {interval: 1m}\n")
    assert folder.problems() == [
        "a.yaml:3: source.use: there is no shared source 'shop' (signals.yaml has none)",
        "a.yaml:4: sinks[0]: there is no shared sink 'lake' (signals.yaml has none)",
    ]


def test_relative_paths_of_shared_ones(folder):
    """A relative path starts from the file that names it, shared or own."""
    folder.write(signals=PROJECT)
    folder.file(
        "deep/er/a.yaml",
        COLLECTOR.format(name="a")
        + "sinks: {x: {use: disk}, y: {type: file, config: {path: ../o}}}",
    )
    (found,) = folder.load().collectors
    assert found.collector.sinks == {
        "disk": File(folder.path / "out.jsonl"),
        "y": File(folder.path / "deep/er/../o"),
    }


def test_dates_of_shared_ones(folder):
    """A date in a shared source is midnight in the project's zone, whoever uses it first."""
    signals = PROJECT.replace("uri: db://x", "uri: db://x, since: 2026-01-01")
    text = COLLECTOR.format(name="a") + "timezone: Asia/Tokyo"
    collector = folder.collector(text, signals=signals)
    assert collector.source.since == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_defaults_of_a_window(folder):
    """A default window makes its collectors windowed, each in its own zone."""
    signals = PROJECT + "  grain: 1d\n  window: {start: 2026-01-01}\n"
    bounds = ("sql: q", "sql: ':window_start :window_end'")
    folder.write(
        signals=signals,
        a=COLLECTOR.format(name="a").replace(*bounds),
        b=COLLECTOR.format(name="b").replace(*bounds) + "timezone: Asia/Tokyo",
        c=COLLECTOR.format(name="c") + "window: ~",
    )
    loaded = folder.load()
    assert not loaded.problems
    starts = [each.collector.window and each.collector.window.start for each in loaded.collectors]
    assert starts == [
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        datetime(2025, 12, 31, 15, tzinfo=UTC),
        None,
    ]
