"""A third party's distributions without pip: a folder for sys.path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from attrs import frozen


@frozen
class PluginFolder:
    """A folder with modules and `NAME-VERSION.dist-info` folders, which Python discovers."""

    path: Path

    def module(self, name: str, text: str) -> None:
        """Write a module."""
        file = self.path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")

    def metadata(self, name: str, entry_points: str, version: str = "0.1") -> Path:
        """Write the metadata of a distribution with these lines in the group `signals`."""
        folder = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(metadata, encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[signals]\n{entry_points}\n", encoding="utf-8")
        return folder

    def add(self, name: str, text: str, version: str = "0.1") -> None:
        """Write a distribution whose only module, of the same name, is `text`."""
        module = name.replace("-", "_")
        self.module(module, text)
        self.metadata(name, f"{module} = {module}", version)

    def run(self, program: str, *more: Path) -> Any:
        """Run `program` in a fresh process that sees the folder; return the JSON that it prints."""
        folders = [str(folder) for folder in (*more, self.path)]
        header = f"import json, sys\nsys.path[:0] = {folders!r}\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", header + dedent(program)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
