"""The page of the reference about types, made of what the installed classes say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from signals_core.cli.plugins import _default
from signals_core.fields import docs_of, fields_of, in_words
from signals_core.registry import PluginType, Registry

_KINDS = {"source": "Sources", "sink": "Sinks", "schedule": "Schedules"}
_OTHER_PAGES = {
    "signals-postgres": "postgres",
    "signals-mongo": "mongodb",
    "signals-vector": "http",
}

_OPENING = """\
# Types

Every type that `signals-core` and the plugins of this repository bring, with its fields, as the
classes themselves say it. `signals plugins` lists what is installed where you are, other plugins'
types included, and `signals plugins TYPE` shows the same of each, with a collector to paste.

In YAML the fields of the connection and those of the query stand side by side, in `config`.
How [text becomes values](configuration.md#values) is one thing for all.
"""


def types_page() -> str:
    """Return the page in Markdown."""
    registry = Registry.discover()
    lines = _lines([registry.types[key] for key in sorted(registry.types)])
    return "\n".join(lines).rstrip() + "\n"


def _lines(entries: list[PluginType]) -> Iterator[str]:
    yield _OPENING
    for kind, title in _KINDS.items():
        yield f"## {title}\n"
        for entry in entries:
            if entry.kind == kind and entry.provider.split()[0] in ("signals-core", *_OTHER_PAGES):
                yield from _of_type(entry)


def _of_type(entry: PluginType) -> Iterator[str]:
    cls = entry.load()
    provider = entry.provider.split()[0]
    page = _OTHER_PAGES.get(provider)
    yield f"### {entry.kind} `{entry.name}`\n"
    yield f"{inspect.getdoc(cls)}\n"
    yield f"Comes with `{provider}`" + (f": [more of it]({page}.md).\n" if page else ".\n")
    yield from _table("field", cls)
    query: Any = getattr(cls, "Query", None)
    if query is not None:
        yield from _table("field of the query", query)


def _table(title: str, cls: type) -> Iterator[str]:
    docs, fields = docs_of(cls), fields_of(cls)
    if not fields:
        return
    yield f"| {title} | takes | default | meaning |\n|---|---|---|---|"
    for key, field in sorted(fields.items(), key=lambda item: not item[1].required):
        default = "required" if field.required else _in_yaml(_default(field.default))
        meaning = " ".join(docs.get(key, "").split()).replace("|", "\\|")
        kind = in_words(field.type)
        yield f"| `{key}` | {kind} | {default} | {meaning} |"
    yield ""


def _in_yaml(default: Any) -> str:
    if default is None:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
