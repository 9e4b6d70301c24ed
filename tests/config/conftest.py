"""A folder to write configuration into, and to load it from."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from attrs import frozen

from parts.configured import a_registry
from parts.editor import compare
from signals_core import secret
from signals_core.config import load
from signals_core.config.files import find

REGISTRY = a_registry()


@frozen
class Folder:
    """A folder of configuration, which is the working directory."""

    path: Path

    def write(self, **files):
        """Write files, named by keyword: `shop__orders` is shop/orders.yaml."""
        for name, text in files.items():
            self.file(f"{name.replace('__', '/')}.yaml", text)

    def file(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def load(self, *paths, project=None):
        """Load paths, by default the folder, with the plugins of `parts.configured`.

        What an editor makes of the same files is compared on the way.
        """
        paths, project = [Path(path) for path in paths or ["."]], project and Path(project)
        loaded = load(paths, project=project, registry=REGISTRY)
        found = find(paths, project)
        files = [*found.files, *([found.project] if found.project else ())]
        compare(files, loaded, REGISTRY)
        return loaded

    def problems(self, *paths, project=None):
        return [str(problem) for problem in self.load(*paths, project=project).problems]

    def collector(self, text, **shared):
        """Return the one collector of a text that has no mistake, not even a warning."""
        self.write(c=text, **shared)
        loaded = self.load()
        assert not loaded.problems, [str(problem) for problem in loaded.problems]
        (found,) = loaded.collectors
        return found.collector


@pytest.fixture(autouse=True)
def no_secrets_yet():
    """Let each test begin as a process does, before any secret was seen."""
    known = secret._known
    secret._known = secret._KnownSecrets()
    yield
    secret._known = known


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)
