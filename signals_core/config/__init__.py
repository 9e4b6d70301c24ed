"""Configuration: YAML files with positions, read into the classes of `signals_core.collector`.

`load` is the way in. The steps, each a module: `files` finds what to read, `nodes` composes YAML
(`syntax` says what is wrong where it is none), `dialect` reads the original project's spellings,
`structure` types nodes (with `scalars` and `json_text`) and builds attrs classes (`refusals` asks
why one would not be built), `project` holds what collectors share, `plugins` builds sources, sinks
and schedules, `document` builds one collector. `again` says what goes on as it was.
"""

from signals_core.config.again import kept_back, sound
from signals_core.config.load import Loaded, LoadedCollector, load, registry_of

__all__ = ["Loaded", "LoadedCollector", "kept_back", "load", "registry_of", "sound"]
