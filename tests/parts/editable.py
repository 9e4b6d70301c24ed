"""Stands in for `pip install -e FOLDER` where a test may change no environment.

Run as a program: links the modules of the folder, or the packages in its `src`, into the one that
PYTHONPATH names, and writes the metadata that its pyproject.toml asks for. What it depends on is
there already.
"""

import os
import sys
import tomllib
from pathlib import Path

from distributions import PluginFolder

folder, site = Path(sys.argv[-1].partition("[")[0]).resolve(), Path(os.environ["PYTHONPATH"])
project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
for module in (*folder.glob("*.py"), *folder.glob("src/*/")):
    (site / module.name).symlink_to(module)
entry_points = project["entry-points"]["signals"].items()
lines = "\n".join(f"{name} = {target}" for name, target in entry_points)
PluginFolder(site).metadata(project["name"], lines, project["version"])
