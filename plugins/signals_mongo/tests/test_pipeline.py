"""What a pipeline may hold, offline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Secret
from signals_mongo.pipeline import (
    JAVASCRIPT,
    PARAMETERS,
    READS,
    WRITES,
    bind,
    bounds_in,
    columns_of,
    stages_of,
)
from signals_mongo.source import MongoDB

COUNT = {"$count": "value"}

names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.sampled_from([f":{name}" for name in PARAMETERS])
    | st.sampled_from([f" :{name}" for name in PARAMETERS])
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def nested(wrappers, inner):
    """`inner` within any number of `wrappers`."""
    return st.lists(st.sampled_from(wrappers), max_size=5).map(
        lambda chosen: reduce(lambda tree, wrap: wrap(tree), chosen, inner)
    )


def hidden(stage):
    """A pipeline that holds `stage` in a pipeline within a pipeline, at any depth."""
    match = {"$match": {"a": 1}}
    return nested(
        [
            lambda pipeline: [{"$facet": {"fine": [COUNT], "inside": pipeline}}],
            lambda pipeline: [match, {"$lookup": {"from": "c", "as": "x", "pipeline": pipeline}}],
            lambda pipeline: [match, match, {"$unionWith": {"coll": "c", "pipeline": pipeline}}],
        ],
        [stage],
    )


refused_stages = st.sampled_from(
    [
        *({name: "elsewhere"} for name in sorted(WRITES)),
        {"$currentOp": {}},
        {"$changeStream": {}},
        {"$listSessions": {}},
        {"$collStats": {"count": {}}},
        {"$indexStats": {}},
        {"$planCacheStats": {}},
        {"$_internalInhibitOptimization": {}},
        {"$anythingThatComesLater": {}},
    ]
)


@given(refused_stages.flatmap(hidden))
def test_a_stage_that_does_more_than_read_is_refused_at_any_depth(pipeline):
    """A stage that is not known to read documents only is refused however deep it is nested."""
    with pytest.raises(ValueError, match=r"^agg\[\d\]"):
        stages_of(pipeline, allow_javascript=True)


def anywhere(word):
    """A tree that holds `word` as a key, in lists and documents of any depth."""
    return nested(
        [
            lambda tree: [tree],
            lambda tree: [1, tree, None],
            lambda tree: {"a": tree},
            lambda tree: {"$cond": [True, tree], "b": 1},
        ],
        {word: {"body": "function() {}"}},
    )


@given(st.sampled_from(sorted(WRITES | JAVASCRIPT)).flatmap(anywhere))
def test_a_refused_word_is_refused_as_any_key(tree):
    """$out, $merge and JavaScript are refused wherever in a pipeline they stand as a key."""
    with pytest.raises(ValueError, match=r"^agg\[0\]\.\$project\.x.* (writes|runs JavaScript)"):
        stages_of([{"$project": {"x": tree}}])


@given(trees)
def test_a_reading_pipeline_passes_unchanged(tree):
    """A pipeline of reading stages is accepted as it is, as a tree and as JSON text."""
    pipeline = [{"$match": {"a": tree}}, COUNT]
    assert stages_of(pipeline) == pipeline
    assert stages_of(json.dumps(pipeline)) == pipeline


@given(trees)
def test_binding_changes_whole_strings_only(tree):
    """Binding replaces the strings that are a parameter as a whole, and nothing else."""
    values = {name: (name,) for name in PARAMETERS}

    def expected(node):
        if isinstance(node, dict):
            return {key: expected(value) for key, value in node.items()}
        if isinstance(node, list):
            return [expected(item) for item in node]
        whole = isinstance(node, str) and node[:1] == ":" and node[1:] in PARAMETERS
        return (node[1:],) if whole else node

    assert bind(tree, values) == expected(tree)


def test_keys_and_longer_strings_are_no_parameters():
    """A key is never a parameter, nor is a string that merely holds one."""
    pipeline = [{"$match": {":window_start": 1, "a": "x:window_start", "b": "$:window_end"}}]
    assert bounds_in(pipeline) == set()
    assert bind(pipeline, {}) == pipeline


def test_the_bounds_are_told_by_the_names_of_the_core():
    """ObjectId bounds count as the start and the end of the window that they stand for."""
    source = MongoDB(Secret("mongodb://nowhere"), "shop")

    def used(*strings):
        return source.parameters(source.Query("c", [{"$match": {"a": list(strings)}}]))

    assert used() == set()
    assert used(":window_start_oid", ":window_end_oid") == {"window_start", "window_end"}
    assert used(":window_start_local") == {"window_start_local"}
    assert used(":window_start", ":window_end_local") == {"window_start", "window_end_local"}


@pytest.mark.parametrize(
    ("agg", "message"),
    [
        (
            [{"$match": {}}, {"$out": "copy"}],
            "agg[1].$out writes, and a source only reads (take it out)",
        ),
        (
            [{"$facet": {"a": [{"$merge": {"into": "copy"}}]}}],
            "agg[0].$facet.a[0].$merge writes, and a source only reads (take it out)",
        ),
        (
            [{"$match": {"$where": "true"}}],
            (
                "agg[0].$match.$where runs JavaScript in the server "
                "(write it with operators, or set allow_javascript: true)"
            ),
        ),
        (
            [{"$mach": {}}],
            "agg[0]: $mach is no stage that reads documents (did you mean $match?)",
        ),
        (
            [{"$currentOp": {}}],
            "agg[0]: $currentOp is no stage that reads documents (did you mean $count?)",
        ),
        (
            [{"$match": {"t": {"$gte": ":window_begin"}}}],
            (
                "agg[0].$match.t.$gte: ':window_begin' is no bound of the window "
                "(nearest: :window_end, :window_end_oid, :window_end_local)"
            ),
        ),
        (
            [{"$match": {"t": {"$gte": {"$date": ":window_start"}}}}],
            (
                "agg[0].$match.t.$gte.$date wraps a bound, which becomes a date by itself "
                '(write ":window_start" alone, in place of the document around it)'
            ),
        ),
        (
            [{"$match": {"n": 2**63}}],
            "agg[0].$match.n is 9223372036854775808, more than 64 bits hold (use $numberDecimal)",
        ),
        (
            {"$match": {}},
            "agg must be a list of stages, as in [{$match: …}, {$group: …}]",
        ),
        ([], "agg must be a list of stages, as in [{$match: …}, {$group: …}]"),
        (
            [{"$match": {}, "$count": "value"}],
            "agg[0] must be a document of one key, the stage, as in {$match: …}",
        ),
        (["$count"], "agg[0] must be a document of one key, the stage, as in {$match: …}"),
        (
            [{"$unionWith": {"coll": "c", "pipeline": {"$match": {}}}}],
            "agg[0].$unionWith.pipeline must be a list of stages, as in [{$match: …}, {$group: …}]",
        ),
        ("[nil]", "agg is no JSON: Expecting value: line 1 column 2 (char 1)"),
    ],
)
def test_a_refusal_says_where_and_what_would_be_right(agg, message):
    """A mistake in a pipeline is one line with its place and its remedy."""
    source = MongoDB(Secret("mongodb://nowhere"), "shop")
    with pytest.raises(ValueError) as caught:
        source.parameters(source.Query("c", agg))
    assert str(caught.value) == message


@pytest.mark.parametrize(("database", "collection"), [("", "c"), ("d", ""), ("d", "$cmd")])
def test_a_name_that_cannot_be_one_is_refused_offline(database, collection):
    """An empty name, or one with a dollar, is refused before anything connects."""
    source = MongoDB(Secret("mongodb://nowhere"), database)
    with pytest.raises(ValueError, match="is no name of a"):
        source.parameters(source.Query(collection, [COUNT]))


@pytest.mark.parametrize("word", sorted(JAVASCRIPT))
def test_javascript_is_allowed_by_name(word):
    """With allow_javascript: true the words of JavaScript are accepted."""
    source = MongoDB(Secret("mongodb://nowhere"), "shop", allow_javascript=True)
    assert source.parameters(source.Query("c", [{"$match": {word: "x"}}])) == set()


def test_what_is_allowed_and_what_is_refused_do_not_meet():
    """No stage is on the list of reads and on a list of refusals."""
    assert not READS & (WRITES | JAVASCRIPT)


@pytest.mark.parametrize(
    ("pipeline", "columns"),
    [
        ([{"$group": {"_id": "$a", "value": {"$sum": 1}}}], ["_id", "value"]),
        ([{"$group": {"_id": {"a": "$a", "b": "$b"}, "value": {"$sum": 1}}}], ["a", "b", "value"]),
        ([{"$group": {"_id": {"$toLower": "$a"}, "value": {"$sum": 1}}}], ["_id", "value"]),
        (
            [{"$group": {"_id": None, "value": {"$sum": 1}}}, {"$sort": {"value": 1}}],
            ["_id", "value"],
        ),
        ([{"$project": {"_id": 0, "customer": "$_id", "value": 1}}], ["customer", "value"]),
        ([{"$project": {"_id": 0, "secret": 0}}], None),
        ([COUNT, {"$project": {"_id": 0}}], None),
        ([{"$project": {"value": 1}}], None),
        ([COUNT], ["value"]),
        ([{"$match": {}}], None),
        ([{"$group": {"_id": None}}, {"$set": {"value": 1}}], None),
    ],
)
def test_columns_are_told_only_where_they_are_certain(pipeline, columns):
    """The columns come from the last stages, and are unknown where these do not decide."""
    assert columns_of(pipeline) == columns


def test_the_collector_of_the_readme_is_right():
    """What the README shows is a pipeline that uses its window and makes the columns it says."""
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config = yaml.safe_load(shown)["source"]["config"]
    source = MongoDB(Secret(config["uri"]), config["database"])
    query = source.Query(config["collection"], config["agg"])
    assert source.parameters(query) == {"window_start", "window_end"}
    assert columns_of(stages_of(query.agg)) == ["country", "channel", "value"]


def test_validation_imports_no_driver():
    """A pipeline is validated without pymongo or bson being imported."""
    program = (
        "import sys, signals_mongo\n"
        "from signals_mongo.source import MongoDB\n"
        "from signals_core import Secret\n"
        "source = MongoDB(Secret('mongodb://nowhere'), 'shop')\n"
        "source.parameters(source.Query('c', [{'$match': {'t': {'$gte': ':window_start'}}}]))\n"
        "print([name for name in ('pymongo', 'bson') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
