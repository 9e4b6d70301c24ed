"""What someone who has never seen signals reads: the command alone, help pages, typos."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from parts.command import Signals
from signals_core.cli.main import Signals as Root
from signals_core.cli.main import signals as root


def commands() -> dict[str, click.Command]:
    """Return every command, groups included, by what is typed behind `signals`."""
    context = click.Context(root)
    found: dict[str, click.Command] = {"": root}
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": each for below, each in command.commands.items()}
    return found


def help_of(name: str) -> str:
    """Return a help page as a terminal of 80 columns shows it."""
    with click.Context(
        commands()[name], info_name=f"signals {name}".strip(), terminal_width=80
    ) as context:
        return commands()[name].get_help(context)


def test_alone(signals: Signals) -> None:
    """`signals` alone says what to type first, and is no mistake."""
    done = signals()
    assert (done.returncode, done.stderr) == (0, "")
    told = re.findall(r"^  signals (\w+(?: \w+)?)", done.stdout, re.MULTILINE)
    assert told[0] == "init shop"
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_it_tells_to_type_is_there(signals: Signals) -> None:
    """Each command that stands in the orientation, or in an example, is one, with its options."""
    pages = signals().stdout + "".join(map(help_of, commands()))
    shown = re.findall(r"^ +(signals(?: [^ \n]+)*)", pages, re.MULTILINE)
    known = commands()
    for line in shown:
        words = line.split()[1:]
        command = known.get(" ".join(words[:2])) or known.get(words[0])
        assert command is not None, line
        options = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("-")} <= options | {"--help"}, line
    assert len(shown) > 20


@pytest.mark.parametrize("name", commands())
def test_each_page(name: str) -> None:
    """A help page fits a terminal, has an example, and needs no words that the glossary lacks."""
    usage, _, page = help_of(name).partition("\n")
    assert max(map(len, (usage, *page.splitlines()))) <= 80
    assert len(page.splitlines()) <= 50
    assert "Example" in page or isinstance(commands()[name], click.Group)
    assert not re.search(r"daemon|glob\b|orphan|upsert|idempoten|\.\.\.$", page, re.MULTILINE)


@pytest.mark.parametrize("name", commands())
def test_each_default(name: str) -> None:
    """An option that has a default says it."""
    for option in commands()[name].params:
        has_one = option.default not in (None, False, (), "") and type(option.default) in (str, int)
        if isinstance(option, click.Option) and has_one and not option.count:
            assert option.show_default or "[default: " in (option.help or ""), option.name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["statsu"], "did you mean `signals status`?"),
        (["invoke", "shop.orders"], "did you mean `signals config invoke`?"),
        (["validate"], "did you mean `signals config validate`?"),
        (["retry", "lake"], "did you mean `signals outbox retry`?"),
        (["cofnig", "check"], "did you mean `signals config`?"),
        (["config", "chekc"], "did you mean `signals config check`?"),
        (["outbox", "purge"], "there are: list, retry, drop"),
        (["xyzzy"], "there are: init, config, run, "),
    ],
)
def test_a_typo(signals: Signals, project: Path, typed: list[str], meant: str) -> None:
    """A command that is none names the one that is meant, with the group it belongs to."""
    done = signals(*typed)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: there is no command ")
    assert meant in last


def test_commands_below() -> None:
    """The commands of groups that a typo may mean are commands."""
    assert set(Root.below) <= commands().keys()
