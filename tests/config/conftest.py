"""A folder to write configuration into, and to load it from."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from attrs import frozen

from parts.configured import a_registry
from signals_core import secret
from signals_core.config import load


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
        """Load paths, by default the folder, with the plugins of `parts.configured`."""
        return load(
            [Path(path) for path in paths or ["."]],
            project=project and Path(project),
            registry=a_registry(),
        )

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
