"""What holds for the repository as a whole: versions, public names, what is loaded when."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import signals_core

ROOT = Path(__file__).parents[1]
PROJECTS = {
    path: tomllib.loads(path.read_text())["project"]
    for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))
}
PUBLIC = """
    Batch Cancelled Collector ConfigError DeliveryError Grain Json Metric MetricDefinition Plugin
    Reading Rejected Request RetryAfter Row Runner Schedule Secret Sink Source StoreError
    Unavailable Window WindowPolicy hookimpl
""".split()


def test_one_version():
    """The distributions are released together, under one version."""
    assert len(PROJECTS) == 4
    assert {project["version"] for project in PROJECTS.values()} == {signals_core.__version__}


@pytest.mark.parametrize("path", [path for path in PROJECTS if path.parent != ROOT], ids=str)
def test_plugins_admit_the_core_beside_them(path):
    """A plugin's range for signals-core admits the version in the tree, and not the next break."""
    ranges = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, PROJECTS[path]["dependencies"])
    }
    assert ranges["signals-core"].contains(signals_core.__version__, prereleases=True)
    assert not ranges["signals-core"].contains("1000")


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_what_the_distributions_have_in_common(path):
    """Python, licence and Pythons supported are the same for all of them."""
    core = PROJECTS[ROOT / "pyproject.toml"]
    for key in ("requires-python", "license", "license-files", "authors"):
        assert PROJECTS[path][key] == core[key]
    pythons = {name for name in core["classifiers"] if "Python" in name}
    assert pythons == {name for name in PROJECTS[path]["classifiers"] if "Python" in name}
    assert (path.parent / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (path.parent / "README.md").exists()


def test_public_names():
    """The public names are these, each has one home, and type checkers look there too."""
    homes = {(home, name) for home, names in signals_core._HOMES.items() for name in names}
    assert sorted(signals_core.__all__) == sorted(PUBLIC)
    assert sorted(name for _, name in homes) == sorted(PUBLIC)
    assert set(_imports_for_type_checkers()) == homes
    assert {*PUBLIC, "__version__"} == set(dir(signals_core))


def _imports_for_type_checkers():
    for statement in ast.walk(ast.parse(Path(signals_core.__file__).read_text())):
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            for node in statement.body:
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        yield node.module.removeprefix("signals_core."), alias.name


def test_the_map_names_every_module():
    """CONTRIBUTING names each module of the core, and none that is not there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    part = text[text.index("\nsignals_core/") : text.index("\nplugins/signals_postgres")]
    named = re.findall(r"(?<=\s)\w+(?:\.py|/)(?=\s)", part.partition("core\n")[2])
    there = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "signals_core").iterdir()
        if path.name not in ("__pycache__", "__main__.py", "py.typed")
    ]
    assert sorted(named) == sorted(there)


def test_importing_the_core_is_light():
    """All public names together load attrs, pluggy and the standard library, nothing else."""
    program = "import signals_core as s; [getattr(s, name) for name in s.__all__]"
    assert _packages_loaded_by(program) <= {"signals_core", "attr", "attrs", "pluggy"}


def test_help_is_light():
    """`signals --help` loads no driver, no YAML, and nothing that structures or decorates."""
    loaded = _packages_loaded_by(
        "import sys; sys.argv[1:] = ['--help']; from signals_core.cli import main; main()"
    )
    assert "click" in loaded
    heavy = {"psycopg", "pymongo", "urllib3", "yaml", "cattrs", "rich", "signals_postgres"}
    assert not loaded & (heavy | SHOWS)


#: What only `run --listen` is in need of.
SHOWS = {"prometheus_client", "jinja2"}


def test_a_daemon_that_does_not_listen(tmp_path):
    """Without --listen nothing is loaded that telemetry and the status page are made of."""
    (tmp_path / "signals.yaml").write_text("version: 1\n")
    (tmp_path / "level.yaml").write_text(
        "name: level\nmetric: {name: level, type: GAUGE}\nschedule: {interval: 1h}\n"
        "source: {type: sqlite, config: {path: shop.db, sql: SELECT 1 AS value}}\n"
        "sinks: {console: {type: console}}\n"
    )
    arguments = ["run", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    program = (
        "import os, signal, sys, threading, time\n"
        "def stop():\n"
        "    while not any(each.name == 'signals timer' for each in threading.enumerate()):\n"
        "        time.sleep(0.05)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=stop, daemon=True).start()\n"
        f"sys.argv[1:] = {arguments}\n"
        "from signals_core.cli import main; main()"
    )
    loaded = _packages_loaded_by(program)
    assert "schedule" in loaded
    assert not loaded & SHOWS


def _packages_loaded_by(program):
    """Return what `program` imports, besides the standard library, in a fresh process."""
    report = (
        "import sys, atexit\n"
        "before = set(sys.modules)\n"
        "atexit.register(lambda: print(*set(sys.modules) - before, file=sys.stderr))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", report + program], check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    # The one module of the standard library whose name differs from machine to machine.
    return {
        name
        for name in loaded
        if name not in sys.stdlib_module_names and not name.startswith("_sysconfigdata")
    }
