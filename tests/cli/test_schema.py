"""`signals config schema`: what an editor is told."""

from __future__ import annotations

import json

from jsonschema import Draft7Validator

MINE = '''\
from attrs import define
from signals_core import Source, hookimpl


@define
class Answers(Source):
    """Always the same number."""

    value: int = 42
    """The number."""

    def read(self, request):
        yield {"value": self.value}


@hookimpl
def signals_register_sources(register):
    register("answers", Answers)
'''


def test_the_schema_of_what_is_installed(signals, project):
    """The command prints a schema of all types, those of the project's own files included."""
    (project / "signals.yaml").write_text("version: 1\nplugins: [mine.py]\n")
    (project / "mine.py").write_text(MINE)
    done = signals("config", "schema")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    Draft7Validator.check_schema(schema)
    assert {"source:sqlite", "source:postgres", "sink:http", "schedule:cron"} <= {
        *schema["definitions"]
    }
    answers = schema["definitions"]["source:answers"]
    assert answers["description"] == "Always the same number."
    value = answers["properties"]["value"]
    assert (value["default"], value["description"]) == (42, "The number.")


def test_what_is_broken_is_left_out(signals, project):
    """A plugin that cannot be loaded is named on standard error, and all others are there."""
    (project / "signals.yaml").write_text("version: 1\nplugins: [mine.py]\n")
    (project / "mine.py").write_text("import no_such_module_of_mine\n")
    done = signals("config", "schema")
    assert done.returncode == 0
    assert done.stderr.startswith("left out: mine of mine.py: ")
    assert "no_such_module_of_mine" in done.stderr
    assert "Traceback" not in done.stderr
    assert "source:postgres" in json.loads(done.stdout)["definitions"]


def test_without_a_project(signals, project):
    """Where there is no project there is nothing to leave out, and the schema is there."""
    done = signals("config", "schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["title"] == "signals"
