"""What holds for all pages of how-to and explanation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
EXPLANATION = sorted((ROOT / "docs" / "explanation").glob("*.md"))

#: The pages of another form: a list, two of many tasks, and one too short to go wrong.
OTHERS = {"index", "running", "run-from-python", "editors"}


@pytest.mark.parametrize(
    "page", [each for each in HOW_TO if each.stem not in OTHERS], ids=lambda page: page.stem
)
def test_a_page_says_what_can_go_wrong(page: Path) -> None:
    """A how-to says first what it is for, and last what can go wrong and where to read more."""
    text = page.read_text()
    title, what_for, *_ = re.split(r"\n{2,}", text)
    assert title.startswith("# ")
    assert re.match(r"[A-Z][^#|`]*", what_for)
    end = text.rpartition("\n## What can go wrong\n")[2]
    assert re.search(r"^- \*\*", end, re.MULTILINE)
    assert "\n## " not in end
    assert re.match(r"Read more: .*\[.*\]\(", text.rstrip().rpartition("\n\n")[2])


@pytest.mark.parametrize("page", HOW_TO + EXPLANATION, ids=lambda page: page.stem)
def test_tests_that_are_named_are_there(page: Path) -> None:
    """A test that a page gives as evidence is a file of the repository."""
    named = re.findall(r"`((?:plugins/\w+/)?tests/[\w/.]+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_evidence_is_given() -> None:
    """The pages on delivery, safety and versions name the tests that they rest on."""
    for page in ("delivery", "source-safety", "identity-and-versions"):
        text = (ROOT / "docs" / "explanation" / f"{page}.md").read_text()
        assert re.search(r"`[\w/]*tests/[\w/.]+`", text)
