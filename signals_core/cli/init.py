"""`signals init`: a first project that runs as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import click

from signals_core.cli.options import verbose_option
from signals_core.cli.output import Output
from signals_core.cli.sample import make_users

Writer = Callable[[Path], None]

_SOURCES = ("sqlite", "postgres", "mongodb")
_PROJECT_FILE = "signals.yaml"
_START = "YYYY-MM-DD"
_FIRST_DAYS = 7  # of the windows that a first `signals run` makes up
#: What a template is called here, where git, or signals, would take it for its own.
_NAMES = {"gitignore": ".gitignore", "env.example": ".env.example"}
_ENVIRONMENT = (
    ("cp .env.example .env", "then put in your own"),
    ("set -a; . ./.env; set +a", "signals.yaml takes it from the environment"),
    ("signals config check", "connects, and reads no data"),
)
_NEXT = {
    "sqlite": (
        ("signals config invoke core.signups.1d", "yesterday's sign-ups, once"),
        ("signals run", "the last week, then on; Ctrl-C ends it"),
        ("signals status", "what was read, and what is late"),
    ),
    "postgres": (
        *_ENVIRONMENT,
        ("signals config invoke core.tables", "a first number"),
    ),
    "mongodb": (
        *_ENVIRONMENT,
        ("signals config invoke core.documents", "a first number"),
    ),
}


@click.command()
@click.argument(
    "dir", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False)
)
@click.option(
    "--source",
    type=click.Choice(_SOURCES),
    default="sqlite",
    help="Where rows come from: sqlite brings data of its own, the others are for a database of "
    "yours.  [default: sqlite]",
)
@verbose_option
@click.make_pass_decorator(Output)
def init(output: Output, dir: Path, source: str) -> int:
    """Make a first project that runs as it is, in DIR or here.

    It writes signals.yaml, two collectors with comments, and a .gitignore; for sqlite a small
    database of made-up users too. It never overwrites a file. Last it says what to type next.

    \b
    Examples:
      signals init shop
      signals init shop --source postgres
    """
    from signals_core.errors import PluginError
    from signals_core.registry import Registry

    try:
        Registry.discover().load("source", source)
    except PluginError as error:
        output.say(str(error), fg="red")
        return 2
    now = datetime.now(UTC)
    writers = dict(_writers(source, now))
    _refuse_to_overwrite(dir, writers)
    try:
        _write(dir, writers)
    except OSError as error:
        output.say(f"{dir}: {error.strerror} (nothing was made; name another)", fg="red")
        return 2
    output.say(f"Made in {_shown(dir)}: {', '.join(sorted(writers))}\n", fg="green")
    output.say("Next, one after the other:\n")
    commands = list(_NEXT[source])
    if not dir.samefile("."):
        commands.insert(0, (f"cd {quote(str(dir))}", ""))
    width = max(len(command) for command, _ in commands)
    for command, about in commands:
        output.say(f"  {command:{width}}   {about}".rstrip())
    output.say("\nThe comments in the files say what they do: make them yours.")
    return 0


def _writers(source: str, now: datetime) -> Iterator[tuple[str, Writer]]:
    """Yield the name of each file, and what writes it."""
    templates = files("signals_core.cli") / "first_project"
    start = str(now.date() - timedelta(days=_FIRST_DAYS))
    for template in ((templates / source).iterdir(), [templates / "gitignore"]):
        for each in template:
            text = each.read_text(encoding="utf-8").replace(_START, start)
            yield _NAMES.get(each.name, each.name), partial(_write_text, text)
    if source == "sqlite":
        yield "users.db", partial(make_users, now=now)


def _write_text(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")


def _refuse_to_overwrite(directory: Path, names: Iterable[str]) -> None:
    """Raise `UsageError` where a file is in the way, or where the folder is part of a project."""
    there = [str(directory / name) for name in sorted(names) if os.path.lexists(directory / name)]
    if there:
        verb = "are" if len(there) > 1 else "is"
        raise click.UsageError(
            f"{', '.join(there)} {verb} there already (nothing was made; name another folder)"
        )
    above = (folder / _PROJECT_FILE for folder in directory.absolute().parents)
    if project := next((file for file in above if file.is_file()), None):
        raise click.UsageError(
            f"{_shown(directory)} is inside the project of {project} (add collectors beside that "
            "file, or name a folder elsewhere)"
        )


def _write(directory: Path, writers: Mapping[str, Writer]) -> None:
    """Write all files or none: aside, then each into its place, what makes it a project last."""
    made = [each for each in (directory, *directory.parents) if not each.exists()]
    placed: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".signals-init-", dir=directory) as aside:
            for name, write in writers.items():
                write(Path(aside, name))
            for name in sorted(writers, key=_PROJECT_FILE.__eq__):
                file = Path(aside, name).rename(directory / name)
                placed.append(file)
    except BaseException:
        for file in placed:
            file.unlink()
        for folder in made:
            if folder.exists():
                folder.rmdir()
        raise


def _shown(directory: Path) -> str:
    return "this folder" if directory.exists() and directory.samefile(".") else str(directory)
