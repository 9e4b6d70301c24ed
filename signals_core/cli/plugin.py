"""`signals plugin new`: a distribution of one type that passes its own tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from shutil import rmtree
from tempfile import mkdtemp

import click

from signals_core.cli.groups import Group
from signals_core.cli.options import verbose_option
from signals_core.cli.output import Output

_PREFIX = "signals-"

#: With longer names the lines of the templates would have to be broken.
_LONGEST = 30

#: A template of the kind, or of all kinds, and where it goes.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "tests.yml": ".github/workflows/tests.yml",
    "init.py.txt": "src/<<package>>/__init__.py",
    "plugin.py.txt": "src/<<package>>/<<kind>>.py",
    "test.py.txt": "tests/test_<<kind>>.py",
}
_EMPTY = "src/<<package>>/py.typed"


@click.group(cls=Group)
def plugin() -> None:
    """Make a plugin of your own.

    \b
    Example:
      signals plugin new access-log
    """


@plugin.command()
@click.argument("name")
@click.option("--source", is_flag=True, help="Make a source (the default).")
@click.option("--sink", is_flag=True, help="Make a sink.")
@click.option("--schedule", is_flag=True, help="Make a schedule.")
@verbose_option
@click.make_pass_decorator(Output)
def new(output: Output, /, name: str, **kinds: bool) -> int:
    """Make the distribution signals-NAME here: a type NAME that works and passes its own tests.

    It has pyproject.toml, a typed class, tests on the conformance kit, README and CI. What the
    class does is an example, in whose place you put your own. For what need not be published, one
    file does: name it under `plugins:` in signals.yaml.

    \b
    Examples:
      signals plugin new access-log
      signals plugin new archive --sink
    """
    asked = [kind for kind, is_asked in kinds.items() if is_asked] or ["source"]
    if len(asked) > 1:
        raise click.UsageError(f"--{' and --'.join(asked)} are two distributions (make each)")
    (kind,) = asked
    words = _words(name, kind)
    folder = Path(words["distribution"])
    if folder.exists() or folder.is_symlink():
        raise click.UsageError(f"{folder} is there already (nothing was made; name another)")
    try:
        _write(folder, words)
    except OSError as error:
        output.say(f"{folder}: {error.strerror} (nothing was made)", fg="red")
        return 2
    output.say(f"Made {folder}: a {kind} {words['type']!r}, {words['class']}\n", fg="green")
    output.say("Next, in an environment of its own:\n")
    for command in (f"cd {quote(str(folder))}", "pip install -e '.[test]'", "pytest"):
        output.say(f"  {command}")
    output.say(f"\nThen put your own into src/{words['package']}/{kind}.py.")
    return 0


def _words(name: str, kind: str) -> dict[str, str]:
    """Return what stands for what in the templates. Raises `UsageError` for a name that is none."""
    type_name = re.sub(r"[-_.]+", "-", name).lower().removeprefix(_PREFIX)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", type_name) or len(type_name) > _LONGEST:
        raise click.UsageError(
            f"{name!r} is no name for a type (at most {_LONGEST} letters, digits and hyphens, as "
            "in access-log)"
        )
    distribution = _PREFIX + type_name
    package = distribution.replace("-", "_")
    _refuse_taken(kind, type_name, distribution, package)
    return {
        "kind": kind,
        "type": type_name,
        "distribution": distribution,
        "package": package,
        "class": "".join(map(str.capitalize, type_name.split("-"))) + kind.capitalize(),
        "version": version("signals-core"),
    }


def _refuse_taken(kind: str, type_name: str, distribution: str, package: str) -> None:
    from signals_core.registry import PUBLISHED, Registry

    taken = Registry.discover().types.get((kind, type_name))
    owner = taken.provider if taken is not None else PUBLISHED.get((kind, type_name))
    if owner is not None:
        raise click.UsageError(
            f"the {kind} type {type_name!r} is already brought by {owner} (name another)"
        )
    if distribution in {*PUBLISHED.values(), "signals-core"} or _is_installed(distribution):
        raise click.UsageError(f"the distribution {distribution} is there already (name another)")
    if find_spec(package) is not None:
        raise click.UsageError(f"the package {package} is there already (name another)")


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _write(folder: Path, words: Mapping[str, str]) -> None:
    """Write all files or none: aside, then the folder as a whole into its place."""
    templates = files("signals_core.cli") / "new_plugin"
    aside = Path(mkdtemp(prefix=f".{folder.name}-", dir="."))
    try:
        for template, target in _FILES.items():
            places = (templates / words["kind"] / template, templates / "common" / template)
            text = next(each for each in places if each.is_file()).read_text(encoding="utf-8")
            _put(aside / _filled(target, words), _filled(text, words))
        _put(aside / _filled(_EMPTY, words), "")
        aside.chmod(0o755)
        aside.rename(folder)
    except BaseException:
        rmtree(aside)
        raise


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"<<(\w+)>>", lambda found: words[found[1]], text)
