"""Configuration: YAML files with positions, read into the classes of `signals_core.collector`.

`load` is the way in. The steps, each a module: `files` finds what to read, `nodes` composes YAML,
`dialect` reads the original project's spellings, `structure` types scalars and builds attrs
classes, `project` holds what collectors share, `document` builds one collector.
"""

from signals_core.config.load import Loaded, LoadedCollector, load

__all__ = ["Loaded", "LoadedCollector", "load"]
