"""Documents that are right, and random changes that make something else of them."""

# ruff: noqa: E501 - lists read best whole

from __future__ import annotations

from hypothesis import strategies as st

MANGLED = [
    """\
name: a
metric: {name: core.a, type: GAUGE}
schedule: {interval: 30s}
source: {type: shop, config: {uri: "db://x", sql: SELECT 1 AS value}}
sinks: {c: {type: console}}
""",
    """\
version: 1
timezone: Europe/Paris
sources: {shop: {type: shop, config: {uri: "${X:-db://x}", since: 2026-01-01}}}
sinks: {lake: {type: http, config: {uri: "http://lake", headers: {a: b}}}}
defaults: {tags: {env: prod}, sinks: [lake], timeout: 60s, owner: data-team}
---
name: orders
grain: 1d
window: {start: 2026-01-01, revise: [1h, 1d], catch_up: all}
source: {use: shop, config: {sql: "a :window_start :window_end"}}
metrics:
  - {name: n, type: COUNT, value: orders}
  - {name: r, type: SUM, value: revenue, unit: EUR, tags: {currency: eur}}
""",
    """\
name: old
collector: {type: metric, invocation_strategy: tick}
state_store: {type: memory}
metric:
  name: m
  type: COUNT
  tags: [{key: env, value: '{{ getEnvOrDefault "A" "b" }}'}]
schedule: {cron: 5 0 * * *, timezone: UTC}
source:
  type: metric.documents
  strategy: window
  config:
    uri: '{{ getEnv "X" }}'
    database: d
    collection: c
    time: {window: 24h}
    agg: |
      [{"$match": {"t": {"$gte": ":window_start", "$lt": ":window_end"}}}]
sinks: {f: {type: file, config: {path: ~/x}}, h: {type: http, config: {uri: "http://x"}}}
""",
]
WORDS = st.sampled_from(
    [*"{}[]:,-\n\"'~*&!|>#%@\\ \t\0", "\n  ", "null", "1e999", "${X}", "${", "{{ getEnv", "[x]", "{a: b}",
     "<<: ", "- ", "/", "~nobody/x", "0s", "9999-12-31", "type", "use", "config", "''", "☃", "9" * 5000, "[" * 200]
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, 800), st.integers(0, 12), st.one_of(WORDS, st.text(max_size=3))),
    max_size=4,
)


def changed(document: str, changes) -> str:
    """Return a document with some of its characters replaced by others."""
    for position, length, text in changes:
        start = position % (len(document) + 1)
        document = document[:start] + text + document[start + length :]
    return document
