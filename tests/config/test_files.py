"""Which files make a project, and which project file is theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signals_core.config.files import find

SECOND = "a project has one: merge the two, or load this folder on its own"


def found(*paths, project=None):
    result = find([Path(path) for path in paths], project and Path(project))
    return (
        result.project and str(result.project),
        [str(each) for each in result.files],
        [str(each) for each in result.problems],
    )


@pytest.fixture
def make(folder):
    def make(*names):
        for name in names:
            folder.file(name, "")

    return make


def test_a_directory_is_read_recursively(make):
    """YAML files are found at any depth, in order; names with a dot and other files are not."""
    make("b.yaml", "a.yml", "sub/deep/c.yaml", "a/z.yaml", "README.md", "x.yaml.orig", "x.YAML")
    make(".hidden.yaml", ".git/d.yaml", "sub/.cache/e.yaml")
    assert found(".") == (None, ["a.yml", "b.yaml", "a/z.yaml", "sub/deep/c.yaml"], [])


def test_a_named_file_is_read_whatever_its_name(make):
    """What is asked for by name is read, also with a dot or another ending."""
    make(".hidden.yaml", "collector.conf")
    assert found(".hidden.yaml", "collector.conf")[1] == [".hidden.yaml", "collector.conf"]


def test_each_file_once(make, folder):
    """A file that is reached by several ways is read once, by its first name."""
    make("sub/a.yaml")
    (folder.path / "link.yaml").symlink_to("sub/a.yaml")
    (folder.path / "same").symlink_to("sub")
    assert found(".", "sub/a.yaml", "./sub/../sub", str(folder.path))[1] == ["link.yaml"]
    assert found("sub/a.yaml", ".")[1] == ["sub/a.yaml"]


def test_a_mounted_config_map(make, folder):
    """A ConfigMap's links into `..data` are read once, in linked sub-directories too."""
    make("..2026_01_01/a.yaml", "..2026_01_01/sub/b.yaml", "..2026_01_01/signals.yaml")
    (folder.path / "..data").symlink_to("..2026_01_01")
    for name in ("a.yaml", "sub", "signals.yaml"):
        (folder.path / name).symlink_to(f"..data/{name}")
    assert found(".") == ("signals.yaml", ["a.yaml", "sub/b.yaml"], [])
    assert found() == ("signals.yaml", ["a.yaml", "sub/b.yaml"], [])
    assert found(".", "..data/")[0] == "signals.yaml"
    assert found(".", "..data/")[2] == []


def test_loops_of_links(make, folder):
    """Links that lead in circles are followed once; one that leads nowhere is read, and fails."""
    make("sub/a.yaml")
    (folder.path / "sub/up").symlink_to("..")
    (folder.path / "self.yaml").symlink_to("self.yaml")
    (folder.path / "gone.yaml").symlink_to("no-such-file")
    assert found(".") == (None, ["gone.yaml", "self.yaml", "sub/a.yaml"], [])
    assert found("self.yaml")[2] == ["self.yaml: there is no such file or directory"]


def test_only_regular_files(make, folder):
    """A pipe in a directory is not waited for."""
    make("a.yaml")
    os.mkfifo(folder.path / "pipe.yaml")
    assert found(".")[1] == ["a.yaml"]


def test_what_is_not_there():
    """A path that does not exist is a mistake, and the others are read."""
    assert found("no/such")[2] == ["no/such: there is no such file or directory"]


def test_directories_that_cannot_be_read(make, folder):
    """A directory that one may not list is a mistake that names it."""
    make("sub/a.yaml", "b.yaml")
    (folder.path / "sub").chmod(0)
    try:
        list(Path("sub").iterdir())
    except PermissionError:
        assert found(".")[1:] == (["b.yaml"], ["sub: cannot be read: Permission denied"])
    else:  # the superuser may
        assert found(".")[1:] == (["b.yaml", "sub/a.yaml"], [])
    finally:
        (folder.path / "sub").chmod(0o700)


def test_the_nearest_project_file_upward(make, monkeypatch):
    """The project file is the nearest signals.yaml at or above what is loaded."""
    make("signals.yaml", "shop/a.yaml", "shop/deep/b.yaml", "mart/signals.yaml", "mart/x/c.yaml")
    assert found("shop/deep/b.yaml")[:2] == ("signals.yaml", ["shop/deep/b.yaml"])
    assert found("shop") == ("signals.yaml", ["shop/a.yaml", "shop/deep/b.yaml"], [])
    assert found("mart") == ("mart/signals.yaml", ["mart/x/c.yaml"], [])
    assert found("mart/../shop")[0] == "signals.yaml"
    assert found("shop/a.yaml", "shop/deep") == (
        "signals.yaml",
        ["shop/a.yaml", "shop/deep/b.yaml"],
        [],
    )
    monkeypatch.chdir("mart/x")
    assert found("c.yaml")[0] == str(Path("../signals.yaml").resolve())


def test_without_paths_the_project_is_read(make, monkeypatch):
    """Without paths it is the project found upward from here; without one that is a mistake."""
    assert found() == (
        None,
        [],
        [
            (
                "there is no signals.yaml here or in a folder above "
                "(go to the project's folder, name it with -c PATH, or make one: signals init)"
            )
        ],
    )
    make("signals.yaml", "shop/a.yaml")
    monkeypatch.chdir("shop")
    root = Path.cwd().parent
    assert found() == (str(root / "signals.yaml"), [str(root / "shop/a.yaml")], [])


def test_a_second_project_file_deeper_down(make):
    """A second signals.yaml below the first is a mistake, and is not read."""
    make("signals.yaml", "a.yaml", "sub/signals.yaml")
    assert found(".") == (
        "signals.yaml",
        ["a.yaml"],
        [f"sub/signals.yaml:1: a second signals.yaml: the project's is signals.yaml ({SECOND})"],
    )


def test_a_project_file_below_what_is_loaded(make):
    """One deeper down is a mistake also when there is none above: nobody would look at it."""
    make("a.yaml", "sub/signals.yaml")
    problem = "a signals.yaml below what is loaded (load its folder, or move it up)"
    assert found(".") == (None, ["a.yaml"], [f"sub/signals.yaml:1: {problem}"])


def test_paths_of_two_projects(make):
    """Paths that belong to two projects are a mistake that names both."""
    make("one/signals.yaml", "two/signals.yaml", "two/a.yaml")
    _, files, problems = found("one", "two")
    assert problems == [
        "two project files: one/signals.yaml and two/signals.yaml (load them one at a time)"
    ]
    assert "two/a.yaml" in files


def test_the_project_file_itself(make):
    """The project file may be named itself: what follows in it is read, and nothing else."""
    make("signals.yaml", "a.yaml")
    result = find([Path("signals.yaml")])
    assert (result.project, result.files, result.whole) == (Path("signals.yaml"), [], True)
    assert not find([Path("a.yaml")]).whole
    assert find([Path()]).whole


def test_another_project_file(make):
    """--project names another file, which replaces the nearest; a deeper one is still a mistake."""
    make("signals.yaml", "prod.yaml", "a.yaml", "sub/b.yaml")
    assert found(".", project="prod.yaml") == (
        "prod.yaml",
        ["a.yaml", "signals.yaml", "sub/b.yaml"],
        [],
    )
    assert found("sub", project="prod.yaml") == ("prod.yaml", ["sub/b.yaml"], [])
    assert found(project="prod.yaml")[:2] == (
        "prod.yaml",
        ["a.yaml", "signals.yaml", "sub/b.yaml"],
    )
    make("sub/signals.yaml")
    assert found(".", project="prod.yaml")[2] == [
        f"sub/signals.yaml:1: a second signals.yaml: the project's is prod.yaml ({SECOND})"
    ]
