"""Stands in for `pip install -e FOLDER` where a test may change no environment.

Run as a program: links the modules of the folder into the one that PYTHONPATH names, and writes the
metadata that its pyproject.toml asks for.
"""

import os
import sys
import tomllib
from pathlib import Path

from distributions import PluginFolder

folder, site = Path(sys.argv[-1]).resolve(), Path(os.environ["PYTHONPATH"])
project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
for module in folder.glob("*.py"):
    (site / module.name).symlink_to(module)
entry_points = project["entry-points"]["signals"].items()
lines = "\n".join(f"{name} = {target}" for name, target in entry_points)
PluginFolder(site).metadata(project["name"], lines, project["version"])
