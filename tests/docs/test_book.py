"""The documents build into a book without a warning, which shows every public name."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from sphinx.addnodes import desc
from sphinx.util.inventory import InventoryFile

import signals_core
from signals_core.plugin import Hooks

ROOT = Path(__file__).parents[2]
PACKAGES = ["signals_core", "signals_core.testing"]
#: What the runner and the command line alone use.
FOR_OURSELVES = {
    *("backwards", "cancel", "clock", "length", "of", "of_lines", "windows", "zone"),
    *("facts", "note_configuration", "try_store"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Build the book, without a network; return its folder, and what was said of it."""
    folder = tmp_path_factory.mktemp("book")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-n", "-q", "-d", str(folder / "doctrees")),
            *(str(ROOT / "docs"), str(folder / "html")),
        ],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / "html", built.stderr


@pytest.fixture(scope="module")
def book(built: tuple[Path, str]) -> Path:
    """Return the folder of the book."""
    return built[0]


def documented(book: Path) -> set[str]:
    """Return the names of Python that the book has a place for."""
    inventory = InventoryFile.loads((book / "objects.inv").read_bytes(), uri="")
    return {name for kind, names in inventory.data.items() if kind[:3] == "py:" for name in names}


def test_warnings(built: tuple[Path, str]) -> None:
    """The book builds without a warning: no link leads nowhere, no name is unknown."""
    assert built[1] == ""


def test_pages(book: Path) -> None:
    """Every document is a page of the book."""
    pages = {
        path.relative_to(ROOT / "docs").with_suffix(".html")
        for path in (ROOT / "docs").glob("**/[!_]*.md")
        if "_build" not in path.parts
    }
    assert {page for page in pages if (book / page).exists()} == pages


def test_public_names(book: Path) -> None:
    """Each public name has its place in the book, and no other name has one."""
    top = re.compile(r"signals_core\.(?:testing\.)?(?!(testing|plugin)$)\w+")
    shown = {name for name in documented(book) if top.fullmatch(name)}
    assert shown == {
        f"{package}.{name}" for package in PACKAGES for name in import_module(package).__all__
    }


@pytest.mark.parametrize("name", signals_core.__all__)
def test_attributes(name: str, book: Path) -> None:
    """Every public attribute of a public class has its place in the book."""
    subject = getattr(signals_core, name)
    if not (isinstance(subject, type) and subject.__module__.startswith("signals_core.")):
        return
    fields = {each.alias for each in getattr(subject, "__attrs_attrs__", ()) if each.init}
    own = {each for each in (*vars(subject), *fields) if not each.startswith("_")}
    assert {f"signals_core.{name}.{each}" for each in own - FOR_OURSELVES} <= documented(book)


def test_hooks(book: Path) -> None:
    """Each hook has its place in the book, and no other hook has one."""
    prefix = f"{Hooks.__module__}.{Hooks.__qualname__}."
    shown = {name.removeprefix(prefix) for name in documented(book) if name.startswith(prefix)}
    assert shown == {name for name in vars(Hooks) if name.startswith("signals_")}


@pytest.mark.parametrize("page", ["python", "testing"])
def test_docstrings(page: str, book: Path) -> None:
    """What the book says of each name is not empty."""
    with (book.parent / "doctrees" / "reference" / f"{page}.doctree").open("rb") as file:
        tree = pickle.load(file)
    for description in tree.findall(desc):
        head, *_, body = description.children
        assert body.astext().strip(), head.astext()
