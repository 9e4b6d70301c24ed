"""Collectors in code: their defaults, and every mistake that their types cannot express."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import define

from parts.collectors import Kept, Rows, collector_of
from signals_core import Grain, MetricDefinition, WindowPolicy
from signals_core.collector import problems_of

BOUNDS = {"window_start", "window_end"}
LOCAL = {"window_start_local", "window_end_local"}


def told(**fields):
    """Return the problems of a collector as a person reads them."""
    return [str(problem) for problem in problems_of(collector_of(**fields))]


def using(*names):
    source = Rows()
    source.names = set(names)
    return source


def test_defaults():
    """A collector has what the reference of the configuration says it has."""
    collector = collector_of()
    assert (collector.id, collector.timezone, collector.max_rows) == ("core.test", "UTC", 100_000)
    assert collector.timeout == timedelta(seconds=60) and not collector.tags
    assert collector.window is None and collector.buckets is None
    policy = WindowPolicy()
    assert (policy.start, policy.catch_up, policy.revise) == (None, None, [])
    assert policy.grace == timedelta(minutes=1)


def test_a_character_that_receivers_refuse():
    """U+0000 is in no name, id or tag: with it every metric would be a dead letter in Postgres."""
    nul = "holds the character U+0000 (take it out)"
    metric = MetricDefinition("a\0", "COUNT", tags={"b": "\0"})
    found = told(name="c\0", id="d\0", tags={"e": "\0"}, metric=metric)
    paths = ["name", "id", "tags.e", "metric.name", "metric.tags.b"]
    assert sorted(found) == sorted(f"{path}: {nul}" for path in paths)


def test_parts():
    """The id stays when the name changes; definitions come in either form; a grain is parsed."""
    one, two = MetricDefinition("a", "SUM"), MetricDefinition("b", "COUNT", "n")
    assert one.value == "value"
    assert collector_of(metric=one).definitions == (one,)
    assert list(collector_of(metric=None, metrics=[one, two]).definitions) == [one, two]
    assert collector_of(name="new", id="old").id == "old"
    assert collector_of(grain="1d", timezone="Europe/Paris").buckets == Grain.parse(
        "1d", "Europe/Paris"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"grain": "1d", "window": WindowPolicy(), "source": using(*BOUNDS)},
        {"grain": "90m", "window": WindowPolicy(catch_up=1), "source": using(*LOCAL)},
        {
            "grain": "1h",
            "window": WindowPolicy(),
            "source": using("window_start", "window_end_local"),
        },
        {"grain": "1h", "sinks": {"a": Kept()}},
        {
            "window": WindowPolicy(
                datetime(2026, 1, 1, tzinfo=UTC), timedelta(), None, [timedelta(1)]
            ),
            "grain": "1mo",
            "source": using(*BOUNDS, *LOCAL),
        },
        {
            "metric": None,
            "metrics": [
                MetricDefinition("a", "SUM"),
                MetricDefinition("a", "SUM", tags={"b": "c"}),
            ],
        },
    ],
)
def test_right(fields):
    """A collector that is right has no problems."""
    assert told(**fields) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "", "id": "a"}, "name: must not be empty"),
        ({"name": "a/b", "id": "c"}, "name: 'a/b' holds a slash (use dots to separate words)"),
        ({"id": "a/b"}, "id: 'a/b' holds a slash (use dots to separate words)"),
        ({"metric": None}, "metric: exactly one of metric and metrics is needed"),
        (
            {"metrics": [MetricDefinition("b", "SUM")]},
            "metric: exactly one of metric and metrics is needed",
        ),
        ({"metric": MetricDefinition("", "SUM")}, "metric.name: must not be empty"),
        (
            {"metric": MetricDefinition("a", "count")},
            "metric.type: 'count' is no type (known: COUNT, SUM, GAUGE)",
        ),
        (
            {"metric": MetricDefinition("a", "SUM", tags={"env": "x"}), "tags": {"env": "y"}},
            (
                "metric.tags.env: the tag 'env' is configured for the collector already (keep "
                "one of the two)"
            ),
        ),
        (
            {
                "metric": None,
                "metrics": [MetricDefinition("a", "SUM"), MetricDefinition("a", "COUNT", "n")],
            },
            (
                "metrics[1]: the metric 'a' is there already with the same tags "
                "(give one of the two another name or a tag of its own)"
            ),
        ),
        (
            {"timezone": "Mars"},
            "timezone: 'Mars' is no time zone (write it like UTC or Europe/Paris)",
        ),
        (
            {"grain": "0s"},
            ("grain: a grain of zero holds no time (write it like 30s, 1h, 1d, 1w, 1mo, 1q or 1y)"),
        ),
        (
            {"sinks": {"a": Kept(), "b": Kept()}},
            (
                "sinks.b: is the same sink as 'a', which would get every metric twice (take one "
                "of the two out)"
            ),
        ),
        ({"timeout": timedelta()}, "timeout: must be more than zero"),
        ({"timeout": timedelta(-1)}, "timeout: must not be negative"),
        ({"max_rows": 0}, "max_rows: must be more than zero"),
        ({"max_rows": -5}, "max_rows: must not be negative"),
        (
            {"window": WindowPolicy(), "source": using(*BOUNDS)},
            "window: a windowed collector needs a grain (add one, as in grain: 1d)",
        ),
        (
            {"window": WindowPolicy(catch_up=0), "grain": "1d", "source": using(*BOUNDS)},
            "window.catch_up: must be all or a number from 1",
        ),
        (
            {"window": WindowPolicy(grace=timedelta(-1)), "grain": "1d", "source": using(*BOUNDS)},
            "window.grace: must not be negative",
        ),
        (
            {
                "window": WindowPolicy(revise=[timedelta(1), timedelta()]),
                "grain": "1d",
                "source": using(*BOUNDS),
            },
            "window.revise[1]: must be more than zero",
        ),
        (
            {"source": using("window_end", "window_start")},
            (
                "source.config: the query uses :window_end but the collector has no window "
                "(add window: {} and a grain, or take the bounds out of the query)"
            ),
        ),
        (
            {"window": WindowPolicy(), "grain": "1d"},
            (
                "source.config: the query of a windowed collector must use its window: "
                ":window_start is missing (as in WHERE t >= :window_start AND t < :window_end)"
            ),
        ),
        (
            {"window": WindowPolicy(), "grain": "1d", "source": using("window_start_local")},
            (
                "source.config: the query of a windowed collector must use its window: "
                ":window_end is missing (as in WHERE t >= :window_start AND t < :window_end)"
            ),
        ),
        (
            {"source": using("window_begin")},
            (
                "source.config: the query uses :window_begin, which signals does not know "
                "(known: :window_start, :window_end, :window_start_local, :window_end_local)"
            ),
        ),
    ],
)
def test_wrong(fields, problem):
    """A mistake is one problem: the key, what is wrong, and what would be right."""
    assert told(**fields) == [problem]


@pytest.mark.parametrize(
    ("error", "told_as"),
    [(ValueError("line 3: no"), "line 3: no"), (AttributeError("oops"), "AttributeError: oops")],
)
def test_a_query_that_cannot_be_right(error, told_as):
    """What a source says of a query is a problem, and so is what it stumbles over."""

    @define
    class Refuses(Rows):
        def parameters(self, query):
            raise error

    assert told(source=Refuses()) == [f"source.config: {told_as}"]


def test_names_in_another_collection():
    """A source may return its names as a list; one that returns nothing useful is told."""

    @define
    class Lists(Rows):
        answer: object = None

        def parameters(self, query):
            return self.answer

    assert told(source=Lists(answer=[])) == []
    assert "the query uses :5" in told(source=Lists(answer=[5, "x"]))[0]
    assert "TypeError" in told(source=Lists(answer=7))[0]


def test_zone_and_grain_are_told_together():
    """A wrong zone hides no wrong grain."""
    assert [problem.split(":")[0] for problem in told(timezone="Mars", grain="1x")] == [
        "timezone",
        "grain",
    ]


def test_sinks_that_differ_are_two():
    """Two files, or one instance each of what nobody can compare, are two sinks."""

    class Stranger(Kept):
        """Not decorated: what else it holds is not known."""

    assert told(sinks={"a": Stranger(), "b": Stranger()}) == []


def test_all_problems_at_once():
    """One look finds all mistakes."""
    found = told(name="", metric=None, timezone="Mars", max_rows=0, source=using("x"))
    assert [problem.partition(":")[0] for problem in found] == [
        "name",
        "id",
        "metric",
        "timezone",
        "max_rows",
        "source.config",
    ]
