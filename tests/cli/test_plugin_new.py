"""`signals plugin new`: what it makes is a distribution that passes its own tests."""

from __future__ import annotations

# ruff: noqa: E501 - a name and what is said of it read best on one line
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import signals_core
from parts.command import SIGNALS, Signals, environment, printed
from signals_core.testing import __all__ as kit

EDITABLE = Path(__file__).parents[1] / "parts" / "editable.py"
KINDS = ("source", "sink", "schedule")


class Made:
    """Distributions that were made in a folder and installed into a folder for PYTHONPATH."""

    def __init__(self, home: Path) -> None:
        self.home, self.site = home, home / "site"
        self.types = home.parent / "types"
        self.site.mkdir()

    def new(self, name: str, kind: str) -> Path:
        self.run(self.home, *SIGNALS, "plugin", "new", name, f"--{kind}")
        folder = self.home / f"signals-{name}"
        self.run(self.home, sys.executable, str(EDITABLE), "-e", f"{folder}[test]")
        return folder

    def run(self, folder: Path, *command: str) -> str:
        return printed(folder, *command, PYTHONPATH=str(self.site))

    def check(self, folder: Path) -> None:
        """Hold what was made to types and style, as its own CI does."""
        python = (sys.executable, "-m")
        self.run(folder, *python, "mypy", "--cache-dir", str(self.types))
        self.run(folder, *python, "ruff", "check", "--no-cache")
        self.run(folder, *python, "ruff", "format", "--check", "--no-cache")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module", params=KINDS)
def distribution(made: Made, request: pytest.FixtureRequest) -> Path:
    """One of each kind."""
    return made.new(f"my-{request.param}", request.param)


def test_its_tests_pass(made: Made, distribution: Path) -> None:
    """What is made passes its own tests, and none of them is skipped."""
    said = made.run(distribution, sys.executable, "-m", "pytest", "-q")
    assert re.search(r"^\d\d passed", said, re.MULTILINE), said
    assert "skipped" not in said


def test_types_and_style(made: Made, distribution: Path) -> None:
    """What is made passes mypy's strict mode and ruff by its own configuration."""
    made.check(distribution)


@pytest.mark.parametrize("name", ["x", "a-name-of-thirty-letters-in-al"])
@pytest.mark.parametrize("kind", KINDS)
def test_style_whatever_the_name(tmp_path: Path, made: Made, name: str, kind: str) -> None:
    """A short name and the longest leave the style as it is."""
    folder = Made(tmp_path).new(name, kind)
    for more in (["check"], ["format", "--check"]):
        made.run(folder, sys.executable, "-m", "ruff", *more, "--no-cache")


def test_public_names_only(distribution: Path) -> None:
    """What is made imports public names of signals, is finished, and is typed for others."""
    files = [
        *distribution.glob("*.*"),
        *distribution.rglob(".github/*/*"),
        *distribution.rglob("*.py"),
    ]
    for file in filter(Path.is_file, files):
        text = file.read_text()
        assert not re.search(r"<<|>>|TODO|FIXME|XXX", text), file
        for node in ast.walk(ast.parse(text)) if file.suffix == ".py" else ():
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "signals_core" not in {each.partition(".")[0] for each in modules}
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("signals_core"):
                public = {"signals_core": signals_core.__all__, "signals_core.testing": kit}
                assert {alias.name for alias in node.names} <= set(public[str(node.module)])
    assert [*distribution.glob("src/*/py.typed")]


def test_the_readme_shows_what_works(made: Made, distribution: Path, tmp_path: Path) -> None:
    """The collector in the README is one without a mistake, and its type is there."""
    kind = distribution.name.removeprefix("signals-my-")
    text = (distribution / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    rest = {
        "name": "c",
        "metric": "{name: c, type: COUNT}",
        "schedule": "{interval: 1m}",
        "source": "{type: sqlite, config: {path: x.db, sql: SELECT 1 AS value}}",
        "sinks": "{console: {type: console}}",
    }
    for key, value in rest.items():
        if f"\n{key}:" not in f"\n{shown}" and not (key == "schedule" and "window:" in shown):
            shown += f"{key}: {value}\n"
    (tmp_path / "c.yaml").write_text(shown)
    made.run(tmp_path, *SIGNALS, "config", "validate", "c.yaml")
    described = made.run(tmp_path, *SIGNALS, "plugins", f"my-{kind}")
    assert described.startswith(f"my-{kind}: a {kind} of signals-my-{kind} 0.1.0\n")


def test_it_says_what_is_next(signals: Signals, project: Path) -> None:
    """The name is brought into the form of distributions, and a source is made by default."""
    done = signals("plugin", "new", "Signals_Access.log")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "Made signals-access-log: a source 'access-log', AccessLogSource",
        "",
        "Next, in an environment of its own:",
        "",
        "  cd signals-access-log",
        "  pip install -e '.[test]'",
        "  pytest",
        "",
        "Then put your own into src/signals_access_log/source.py.",
    ]
    assert [each.name for each in project.iterdir()] == ["signals-access-log"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["7-eleven"], "'7-eleven' is no name for a type (at most 30 letters, digits and hyphens, as in access-log)"),
        (["a" * 31], "' is no name for a type"),
        (["a/b"], "'a/b' is no name for a type"),
        (["größe"], "'größe' is no name for a type"),
        (["-"], "'-' is no name for a type"),
        (["signals-"], "'signals-' is no name for a type"),
        (["sqlite"], "the source type 'sqlite' is already brought by signals-core "),
        (["file", "--sink"], "the sink type 'file' is already brought by signals-core "),
        (["mongodb"], "the source type 'mongodb' is already brought by signals-mongo"),
        (["vector"], "the distribution signals-vector is there already (name another)"),
        (["core"], "the distribution signals-core is there already (name another)"),
        (["both", "--schedule", "--source"], "--schedule and --source are two distributions (make each)"),
        (["there"], "signals-there is there already (nothing was made; name another)"),
        (["dangling"], "signals-dangling is there already (nothing was made; name another)"),
    ],
)  # fmt: skip
def test_refused(signals: Signals, project: Path, arguments: list[str], message: str) -> None:
    """A name that cannot be, or is taken, is refused, and nothing is made."""
    (project / "signals-there").mkdir()
    (project / "signals-dangling").symlink_to("nowhere")
    done = signals("plugin", "new", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert {each.name for each in project.iterdir()} == {"signals-there", "signals-dangling"}


def test_where_nothing_can_be_made(signals: Signals, project: Path, tmp_path: Path) -> None:
    """A folder that cannot be made is one line, and leaves nothing."""
    (project / "signals_taken.py").write_text("")
    taken = signals("plugin", "new", "taken", env={"PYTHONPATH": str(project)})
    assert (taken.returncode, "the package signals_taken is there already" in taken.stderr) == (
        2,
        True,
    )
    gone = signals("plugin", "new", "x", cwd="/proc")
    assert gone.returncode == 2
    assert gone.stderr.startswith("signals-x: ")
    assert gone.stderr.endswith(" (nothing was made)\n")


def test_a_disk_that_is_full(signals: Signals, project: Path) -> None:
    """What cannot be written whole is not there at all."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))"
    program = f"{limited}; sys.argv[1:] = ['plugin', 'new', 'x']; from signals_core.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "signals-x: File too large (nothing was made)\n")
    assert list(project.iterdir()) == []
