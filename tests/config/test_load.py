"""All files of a project at once: every mistake, each once, and nothing that breaks the reader."""

# Tables of mistakes read best with one a line:
# ruff: noqa: E501

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.configured import a_registry
from parts.mangled import CHANGES, MANGLED, changed
from signals_core import ConfigError, Runner
from signals_core.config import load
from signals_core.config.load import Loaded

GOOD = """\
name: {name}
metric: {{name: core.{name}, type: GAUGE}}
schedule: {{interval: 30s}}
source: {{type: shop, config: {{uri: "db://x", sql: SELECT 1 AS value}}}}
sinks: {{c: {{type: console}}}}
"""

KINDS = {
    "name: {name}\n": [
        ("name: {name}/x\n", "name: '{name}/x' holds a slash (use dots to separate words)"),
        ("name: [{name}]\n", "name: is a list (write text)"),
        ("name: {name}\nnmae: x\n", "nmae: is no known key (did you mean name?)"),
        ("name: {name}\nname: {name}\n", "name: the key is there twice: in line 1 and here"),
        ("name: {name}\ngrain: 3d\n", "grain: '3d' is no grain: calendar units stand alone, as 1d, 1w, 1mo, 1q, 1y (for other lengths write hours: 48h)"),
        ("name: {name}\ntimeout: 3\n", "timeout: '3' is not a duration such as 30s, 1h30m or 1.5h"),
        ("name: {name}\nmax_rows: 3.7\n", "max_rows: '3.7' is not a whole number"),
        ("name: {name}\ntimezone: Nowhere\n", "timezone: 'Nowhere' is no time zone (write it like UTC or Europe/Paris)"),
        ("name: {name}\nlabels: x\n", "labels: is reserved for a later version"),
        ("name: {name}\ntags: {{a: [b]}}\n", "tags.a: is a list (write text)"),
        ("name: {name}\nowner: !x y\n", "owner: has the YAML tag !x (take the tag out)"),
        ("name: {name}\nowner: 'a ${{b c}}'\n", "owner: '${{b c}}' is no reference (write ${{NAME}}, ${{NAME:-default}}, ${{file:/path}}, or $${{ for ${{)"),
    ],
    "type: GAUGE": [
        ("type: GUAGE", "metric.type: 'GUAGE' is none of its values (did you mean GAUGE?)"),
        ("typ: GAUGE, type: SUM", "metric.typ: is no known key (did you mean type?)"),
        ("value: x", "metric.type: is missing (it takes one of COUNT, SUM, GAUGE)"),
    ],
    "interval: 30s": [
        ("interval: 0s", "schedule.interval: an interval of zero never ends (write it like 30s or 1h)"),
        ("cron: 5 0 * *", "schedule.cron: '5 0 * *' is no cron expression"),
        ("type: intervall", "schedule.type: no plugin brings the schedule type 'intervall' (did you mean interval?)"),
    ],
    "type: shop": [
        ("type: shp", "source.type: no plugin brings the source type 'shp' (did you mean shop?)"),
        ("type: mongodb", "source.type: the source type 'mongodb' is not installed (pip install signals-mongo)"),
        ("use: shop", "source.use: there is no shared source 'shop' (signals.yaml has none)"),
        ("type: shop, use: x", "source: needs exactly one of type and use (take one of the two out)"),
    ],
    "sql: SELECT 1 AS value": [
        ("sql: ':window_start'", "source.config.sql: the query uses :window_start but the collector has no window (add window: {{}} and a grain, or take the bounds out of the query)"),
        ("sql: DROP", "source.config.sql: the query drops something"),
        ("sql: x, port: 0", "source.config.port: 'port' must be >= 1: 0"),
        ("sql: x, prot: 1", "source.config.prot: is no known key (did you mean port?)"),
        ("port: 1", "source.config.sql: is missing (it takes text)"),
    ],
    "type: console": [
        ("type: consul", "sinks.c.type: no plugin brings the sink type 'consul' (did you mean console?)"),
        ("type: http, config: {{uri: 'x'}}", "sinks.c.config.uri: uri must begin with http://"),
        ("type: http, config: {{uri: 'http://x', verify_tls: no}}", "sinks.c.config.verify_tls: 'no' is not true or false"),
        ("type: file", "sinks.c.config.path: is missing (it takes a path)"),
    ],
}  # fmt: skip
MISTAKES = [(old, *each) for old, several in KINDS.items() for each in several]


def test_two_hundred_mistakes(folder):
    """Two hundred collectors with a mistake each are named all, each at its file, line and key."""
    expected = set()
    for number in range(200):
        name = f"c{number:03}"
        old, new, problem = MISTAKES[number % len(MISTAKES)]
        text = GOOD.replace(old, new).format(name=name)
        key = re.split("[.:]", problem)[0]
        line = max(n for n, row in enumerate(text.split("\n"), 1) if row.startswith(f"{key}:"))
        folder.file(f"team{number % 7}/{name}.yaml", text)
        expected.add(f"team{number % 7}/{name}.yaml:{line}: {problem.format(name=name)}")
    loaded = folder.load()
    assert {str(each) for each in loaded.problems} == expected
    assert len(loaded.problems) == 200
    assert not loaded.collectors


def test_three_hundred_collectors_in_a_config_map(folder):
    """Three hundred collectors, mounted as Kubernetes does, are loaded once each."""
    for number in range(300):
        folder.file(f"..2026_01/c{number}.yaml", GOOD.format(name=f"c{number}"))
    (folder.path / "..data").symlink_to("..2026_01")
    for number in range(300):
        (folder.path / f"c{number}.yaml").symlink_to(f"..data/c{number}.yaml")
    loaded = folder.load()
    assert not loaded.problems
    assert len({each.collector.name for each in loaded.collectors}) == 300


def test_what_is_no_collector(folder):
    """A document with neither source nor metric is passed over by name, and is no mistake."""
    folder.write(
        a=f"kind: Deployment\nspec: {{}}\n---\n{GOOD.format(name='a')}---\njust text\n---\n- list\n"
    )
    loaded = folder.load()
    assert loaded.passed_over == ["a.yaml:1", "a.yaml:10", "a.yaml:12"]
    assert not loaded.problems
    assert len(loaded.collectors) == 1


def test_a_document_that_was_refused(folder):
    """A document that is refused whole is a mistake, and not passed over besides."""
    folder.write(a="? [x]\n: y\n")
    loaded = folder.load()
    assert [str(each) for each in loaded.problems] == ["a.yaml:1: a key must be text"]
    assert not loaded.passed_over


def test_nothing_at_all(folder):
    """A folder without collectors is a mistake, since somebody expected some."""
    folder.file("README.md", "")
    assert folder.problems() == [
        (
            ".: there is no collector here (one is a .yaml file; `signals plugins TYPE` shows one "
            "to paste)"
        )
    ]
    folder.write(a="kind: Deployment\n")
    assert folder.problems() == []


def test_unreadable_files(folder):
    """A file that cannot be read is a mistake that names it."""
    (folder.path / "gone.yaml").symlink_to("nowhere")
    folder.write(a=GOOD.format(name="a"))
    assert folder.problems() == ["gone.yaml: cannot be read: No such file or directory"]


def test_names_are_unique(folder):
    """Names and ids are unique across all files, and the later one is left out."""
    folder.write(
        a=GOOD.format(name="x"),
        b=f"# comment\n{GOOD.format(name='x')}",
        c=GOOD.format(name="y") + "id: x\n",
        d=GOOD.format(name="z") + "id: w\n",
        e=GOOD.format(name="w"),
        f=GOOD.format(name="v") + "id: y\n",
    )
    own = "(give each collector its own)"
    loaded = folder.load()
    assert [str(each) for each in loaded.problems] == [
        f"b.yaml:2: name: 'x' is the name of a collector in a.yaml:1 already {own}",
        f"c.yaml:6: id: 'x' is the id of a collector in a.yaml:1 already {own}",
        f"e.yaml:1: name: 'w' is the id of a collector in d.yaml:6 already {own}",
    ]
    assert [each.collector.name for each in loaded.collectors] == ["x", "z", "v"]


def test_names_of_wrong_collectors_count(folder):
    """A collector that has another mistake still takes its name."""
    folder.write(a=GOOD.format(name="x").replace("GAUGE", "GUAGE"), b=GOOD.format(name="x"))
    assert len(folder.problems()) == 2


def test_problems_in_order(folder):
    """Problems come by file and by line, each once."""
    folder.write(b="metric: x\nfoo: 1\nbar: 2\n", a="metric: y\n")
    places = [(each.file, each.line) for each in folder.load().problems]
    assert places == sorted(places)
    assert len(set(folder.problems())) == len(folder.problems())


def test_secrets_are_in_no_message(folder, monkeypatch):
    """No message of any problem shows a secret, from whichever field it got there."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2-from-the-environment")
    folder.file("token", "hunter2-from-a-file\n")
    folder.write(
        a=GOOD.format(name="a").replace('"db://x"', "'${DB_PASSWORD}'").replace("SELECT 1 AS value", "DROP"),
        b=GOOD.format(name="b") + "timeout: hunter2-from-the-environment\n",
        c=GOOD.format(name="c") + "timeout: '${file:token}'\nmax_rows: postgresql://u:hunter2@h/d\n",
        d=GOOD.format(name="d").replace("type: console", "type: http, config: {token: hunter2-written, uri: hunter2-written}"),
        e=GOOD.format(name="e").replace('"db://x"', "[hunter2-in-a-list]"),
        f=GOOD.format(name="f").replace("uri:", "pasword: hunter2-misspelt, uri:"),
    )  # fmt: skip
    problems = folder.problems()
    assert len(problems) == 7
    assert not [each for each in problems if "hunter2" in each]


def test_warnings_and_errors(folder):
    """An unset variable is a warning here and an error to whoever wants to run."""
    folder.write(a=GOOD.format(name="a").replace("db://x", "${NO_SUCH_VARIABLE}"))
    (problem,) = folder.load().problems
    assert problem.warning
    assert str(problem) == (
        "a.yaml:4: source.config.uri: the environment variable NO_SUCH_VARIABLE is not set "
        "(set it, or give a default as in ${NAME:-default})"
    )
    with pytest.raises(ConfigError) as raised:
        Runner.of(folder.load())
    assert raised.value.problems == (problem,)


def test_waiting_for_variables(folder):
    """While there are mistakes, nobody is said to wait for a variable and nothing else."""
    folder.write(
        a=GOOD.format(name="a") + "max_rows: ${NO_SUCH_VARIABLE}\n", b=GOOD.format(name="b")
    )
    assert folder.load().waiting == ["a"]
    folder.write(b=GOOD.format(name="b") + "max_rows: x\n")
    assert folder.load().waiting == []


def test_missing_files_of_references(folder):
    """A missing file of a reference is a warning, and it is looked for beside the document."""
    folder.file("sub/a.yaml", GOOD.format(name="a").replace("db://x", "${file:secret}"))
    (problem,) = folder.load().problems
    assert problem.warning
    assert f"the file {folder.path}/sub/secret cannot be read" in str(problem)
    folder.file("sub/secret", "db://y\n")
    (found,) = folder.load().collectors
    assert found.collector.source.uri.reveal() == "db://y"


def test_validating_imports_no_driver(tmp_path):
    """Files of the types of this repository are validated with no driver imported, no socket."""
    (tmp_path / "a.yaml").write_text(
        textwrap.dedent("""\
        name: a
        metric: {name: m, type: COUNT}
        schedule: {cron: 5 0 * * *}
        source: {type: postgres, config: {uri: "postgresql://u:p@nowhere/d", sql: SELECT 1 AS value}}
        sinks: {c: {type: console}, v: {type: http, config: {uri: "http://nowhere:9/m"}}}
        ---
        name: b
        metric: {name: m, type: COUNT}
        schedule: {interval: 1m}
        source:
          type: mongodb
          config: {uri: "mongodb://nowhere/d", database: d, collection: c, agg: [{$count: value}]}
        sinks: {f: {type: file, config: {path: out}}}
        """)
    )
    program = textwrap.dedent("""\
        import socket, sys
        def refuse(*_): raise AssertionError("a socket")
        socket.socket.connect = socket.getaddrinfo = refuse
        from pathlib import Path
        from signals_core.config import load
        loaded = load([Path(sys.argv[1])])
        print(*loaded.problems, sep="\\n")
        print(len(loaded.collectors))
        print({"psycopg", "psycopg_pool", "pymongo", "bson", "urllib3"} & set(sys.modules))
        """)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[-3:] == ["2", "set()", ""]


@given(st.sampled_from(MANGLED), st.sampled_from(["signals.yaml", "a.yaml"]), CHANGES)
def test_no_file_makes_it_stumble(tmp_path_factory, document, name, changes):
    """However a file is mangled, the outcome is what could be loaded and what is wrong."""
    path = tmp_path_factory.mktemp("mangled") / name
    path.write_bytes(changed(document, changes).encode("utf-8", "surrogatepass"))
    loaded = load([path.parent], registry=a_registry())
    assert isinstance(loaded, Loaded)
    assert loaded.collectors or loaded.problems or loaded.passed_over or name == "signals.yaml"
    for each in loaded.collectors:
        assert each.collector.name
    assert all("\n" not in str(each) for each in loaded.problems)
