"""The original project's files run unchanged."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from parts.configured import Cron, Documents, File, Http, Interval, Shop
from signals_core.collector import MetricDefinition, WindowPolicy
from signals_core.config import load
from signals_core.config.dialect import with_references
from signals_core.config.nodes import Keys, Mark, Scalar
from signals_core.references import expand

SQL = """
name: postgres_users_total

collector:
  type: metric
  invocation_strategy: tick

state_store:
  type: memory

metric:
  name: core.users.total
  type: COUNT
  tags:
    - key: env
      value: prod
    - key: region
      value: '{{ getEnv "SC_REGION" }}'

schedule:
  interval: 1m30s

source:
  type: metric.shop
  strategy: tick
  config:
    uri: 'postgresql://test:test@{{ getEnvOrDefault "SC_PG_HOST" "127.0.0.1" }}:5432/test?sslmode=disable'
    sql: |
      SELECT account AS customer, COUNT(*) AS value
      FROM users
      GROUP BY account

sinks:
  console:
    type: console
  vector:
    type: http
    config:
      method: POST
      uri: 'http://{{ getEnvOrDefault "SC_VECTOR_HOST" "127.0.0.1" }}:9999/metrics'
  audit:
    type: file
    config:
      path: /tmp/log/signals.audit.log
"""  # noqa: E501 - as it was

PIPELINE = """
name: mongo.users.10s
metric: {name: core.users.total, type: COUNT}
schedule: {interval: 24h}
source:
  type: metric.documents
  config:
    uri: 'mongodb://test:test@{{ getEnvOrDefault "SC_MONGO_HOST" "127.0.0.1" }}:27017/test?authSource=admin'
    database: test
    collection: users
    agg: |
      [
        {
          "$group": { "_id": "$account", "value": { "$count": {} } }
        },
        { "$addFields": { "account": { "$toString": "$_id" } } },
        { "$project": { "_id": 0 } }
      ]
sinks: {console: {type: console}}
"""  # noqa: E501 - as it was


def test_sql(folder, monkeypatch):
    """A file of the original gives the collector that it means there."""
    monkeypatch.setenv("SC_REGION", "eu")
    monkeypatch.setenv("SC_VECTOR_HOST", "vector.example")
    monkeypatch.delenv("SC_PG_HOST", raising=False)
    collector = folder.collector(SQL)
    assert collector.metric == MetricDefinition("core.users.total", "COUNT")
    assert collector.tags == {"env": "prod", "region": "eu"}
    assert collector.schedule == Interval(timedelta(seconds=90))
    assert collector.window is None
    assert isinstance(collector.source, Shop)
    uri = "postgresql://test:test@127.0.0.1:5432/test?sslmode=disable"
    assert collector.source.uri.reveal() == uri
    assert collector.query.sql.startswith("SELECT account AS customer, COUNT(*) AS value\nFROM")
    assert list(collector.sinks) == ["console", "vector", "audit"]
    assert collector.sinks["vector"] == Http("http://vector.example:9999/metrics")
    assert collector.sinks["audit"] == File(Path("/tmp/log/signals.audit.log"))


def test_pipeline(folder):
    """A pipeline is JSON text there too."""
    collector = folder.collector(PIPELINE)
    assert isinstance(collector.source, Documents)
    assert collector.query.agg[0] == {"$group": {"_id": "$account", "value": {"$count": {}}}}
    assert len(collector.query.agg) == 3


@pytest.mark.parametrize("prefix", ["", "metric."])
def test_the_types_that_are_installed(folder, prefix):
    """The same files name the types of this repository, with and without prefix."""
    folder.write(
        a=SQL.replace("type: metric.shop", f"type: {prefix}postgres"),
        b=PIPELINE.replace("type: metric.documents", f"type: {prefix}mongodb"),
    )
    loaded = load([Path()])
    assert not [str(each) for each in loaded.problems]
    assert [type(each.collector.source).__name__ for each in loaded.collectors] == [
        "Postgres",
        "MongoDB",
    ]


def test_a_file_with_the_state_store_alone(folder):
    """A file that holds no more than the state store is no collector."""
    folder.write(sc="\nstate_store:\n  type: memory", c=PIPELINE)
    loaded = folder.load()
    assert loaded.passed_over == ["sc.yaml:2"]
    assert not loaded.problems


@pytest.mark.parametrize("strategy", ["historic_tumbling_window", "window"])
@pytest.mark.parametrize("holder", ["collector: {type: metric, invocation_strategy: %s}", ""])
def test_windows(folder, strategy, holder):
    """Both spellings of a window strategy, in both places, make a windowed collector."""
    own = "" if holder else f"  strategy: {strategy}\n"
    head = holder % strategy if holder else ""
    collector = folder.collector(
        f"name: a\n{head}\nmetric: {{name: m, type: COUNT}}\nschedule: {{interval: 1m}}\n"
        f"source:\n  type: shop\n{own}  config:\n    uri: x\n    time: {{window: 5m}}\n"
        "    sql: 'a :window_start :window_end'\nsinks: {console: {type: console}}\n"
    )
    assert collector.window == WindowPolicy()
    assert collector.grain == "5m"


def test_a_window_of_unknown_length(folder):
    """A window strategy without a length needs a grain, and is told so at the strategy."""
    folder.write(
        c=PIPELINE.replace("type: metric.documents", "type: documents\n  strategy: window")
    )
    assert folder.problems()[0] == (
        "c.yaml:7: source.strategy: a windowed collector needs a grain (add one, as in grain: 1d)"
    )


def test_todays_keys_win_over_strategies(folder):
    """A window and a grain that are given stay as they are."""
    collector = folder.collector(
        "name: a\ngrain: 1d\nwindow: {grace: 5m}\nmetric: {name: m, type: COUNT}\n"
        "source:\n  type: shop\n  strategy: window\n"
        "  config:\n    uri: x\n    time: {window: 24h}\n"
        "    sql: 'a :window_start :window_end'\nsinks: {console: {type: console}}\n"
    )
    assert collector.window == WindowPolicy(grace=timedelta(minutes=5))
    assert collector.grain == "1d"


def test_cron(folder):
    """The other schedule of the original."""
    collector = folder.collector(PIPELINE.replace("interval: 24h", "cron: '5 0 * * *'"))
    assert collector.schedule == Cron("5 0 * * *")


STRATEGIES = "(tick, historic_tumbling_window, window)"
CALLS = '(write {{ getEnv "NAME" }} or {{ getEnvOrDefault "NAME" "default" }})'


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        (
            "  strategy: tick",
            "  strategy: incremental",
            "25: source.strategy",
            f"the strategy 'incremental' is not supported {STRATEGIES}",
        ),
        (
            "invocation_strategy: tick",
            "invocation_strategy: later",
            "6: collector.invocation_strategy",
            f"the strategy 'later' is not supported {STRATEGIES}",
        ),
        (
            "type: metric\n",
            "type: partition\n",
            "5: collector.type",
            "collectors of the type 'partition' are not supported (metric)",
        ),
        (
            "invocation_strategy",
            "strategy",
            "6: collector.strategy",
            "is no known key (known: type, invocation_strategy)",
        ),
        (
            "    - key: env\n      value: prod",
            "    - env: prod",
            "15: metric.tags[0]",
            "is no tag (write {key: env, value: prod})",
        ),
        ("key: region", "key: env", "17: metric.tags[1]", "the tag 'env' is there already"),
        (
            "    - key: env\n      value: prod",
            "    - env",
            "15: metric.tags[0]",
            "is text (write tags as a mapping: {env: prod})",
        ),
        (
            'getEnv "SC_REGION"',
            'getEnv "SC_REGION" | upper',
            "18: metric.tags[1].value",
            f"'{{{{ getEnv \"SC_REGION\" | upper }}}}' is no call that is known {CALLS}",
        ),
        (
            ' "127.0.0.1" }}:5432',
            " }}:5432",
            "27: source.config.uri",
            f"'{{{{ getEnvOrDefault \"SC_PG_HOST\" }}}}' is no call that is known {CALLS}",
        ),
    ],
)
def test_what_has_no_counterpart(folder, old, new, place, what):
    """What cannot be carried over is one mistake at its line, never passed over in silence."""
    assert SQL.count(old) == 1
    folder.write(c=SQL.replace(old, new))
    assert folder.problems() == [f"c.yaml:{place}: {what}"]


MARK = Mark("f.yaml", Path("/"), 1)


def template(text, **environ):
    """Return what a text gives in an environment, and what is noted."""
    problems = []
    keys = with_references(Keys({"a": Scalar(text, MARK)}, MARK), problems.append)
    node = keys.nodes["a"]
    return None if node.refused else expand(node.text, environ)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ getEnv "X" }}', "x"),
        ('{{getEnv "X"}}', "x"),
        ('a {{getEnv   "X"   }} b', "a x b"),
        ('a {{- getEnv "X" -}} b', "axb"),
        ('a\n {{- getEnv "X" }}', "ax"),
        ("{{ getEnv `X` }}", "x"),
        ('{{ getEnv "NONE" }}', ""),
        ('{{ getEnvOrDefault "X" "d" }}', "x"),
        ('{{ getEnvOrDefault "NONE" "d" }}', "d"),
        ('{{ getEnvOrDefault "EMPTY" "d" }}', "d"),
        ('{{ getEnvOrDefault `NONE` `d"e\\n` }}', 'd"e\\n'),
        (r'{{ getEnvOrDefault "NONE" "a\"b\\c\td\x41\u00e9\101" }}', 'a"b\\c\tdAéA'),
        ('{{ getEnvOrDefault "NONE" "" }}', ""),
        ('{{ getEnvOrDefault "NONE" "a}b}}c" }}', "a}b}}c"),
        ('{{ getEnvOrDefault "NONE" "${X}" }}', "${X}"),
        ('{{ getEnv "X" }}{{ getEnv "X" }}:{{ getEnvOrDefault "Y" "y" }}', "xx:y"),
        ("'{{1,2},{3,4}}'", "'{{1,2},{3,4}}'"),
        ("{{ other }}", "{{ other }}"),
        ('{{ getEnv "X" "Y" }}', None),
        ("{{ getEnv X }}", None),
        ('{{ getEnv "X"', None),
    ],
)
def test_template_calls(text, expected):
    """Calls are read as Go reads them, spaces, trim markers and backquotes included."""
    assert template(text, X="x", EMPTY="") == expected


def test_template_calls_are_found_everywhere(folder, monkeypatch):
    """Calls are replaced in every value of a document and of the project file."""
    monkeypatch.setenv("X", "x")
    collector = folder.collector(
        "name: '{{ getEnv \"X\" }}'\ntags: {b: '{{ getEnv \"X\" }}'}\n"
        "source: {use: s, config: {sql: q}}\nmetric: {name: m, type: SUM}\n"
        "schedule: {interval: 1m}\nsinks: {c: {type: console}}\n",
        signals="version: 1\nsources: {s: {type: shop, config: {uri: 'u{{ getEnv \"X\" }}'}}}\n",
    )
    assert (collector.name, collector.tags) == ("x", {"b": "x"})
    assert collector.source.uri.reveal() == "ux"


def test_nodes_are_not_changed():
    """Rewriting leaves the nodes it was given alone."""
    node = Scalar('{{ getEnv "X" }}', MARK)
    keys = Keys({"a": node}, MARK)
    rewritten = with_references(keys, [].append)
    assert rewritten.nodes["a"] == evolve(node, text="${X:-}")
    assert keys.nodes["a"] is node
