"""What the pages need to be a book besides: links that leave `docs/`, and names of other packages.

The pages are written for a forge as well, where a link to a plugin's README leads to that file. In
the book it leads to the page that includes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import ExtensionMetadata

import signals_core

#: The pages that show files from outside of `docs/`.
PAGES = {
    "README.md": "/index.md",
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/contributing.md",
    "SECURITY.md": "/security.md",
    "plugins/signals_mongo/README.md": "/reference/mongodb.md",
    "plugins/signals_postgres/README.md": "/reference/postgres.md",
    "plugins/signals_vector/README.md": "/reference/http.md",
}

_SHORT = 24
_LINK = re.compile(r"\]\((?!https?:|#|/)([^)#\s]+)(#[^)\s]*)?\)")


def links_within(text: str, folder: Path, root: Path) -> str:
    """Return a document with its links to files outside of the book led to their pages.

    A link of a document that is included, to a page of the book, is made absolute.
    """

    def led(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        if not target.is_relative_to(root):
            return match[0]
        path = target.relative_to(root).as_posix()
        page = PAGES.get(path) or (path.startswith("docs/") and path.removeprefix("docs"))
        return f"]({page}{match[2] or ''})" if page else match[0]

    return _LINK.sub(led, text)


def _on_page(app: Sphinx, name: str, source: list[str]) -> None:
    page = app.env.doc2path(name)
    source[0] = links_within(source[0], Path(page).parent, app.srcdir.parent)


def _on_include(app: Sphinx, path: Path, name: str, source: list[str]) -> None:
    source[0] = links_within(source[0], (app.srcdir / path).parent, app.srcdir.parent)


def _on_missing(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Leave names of other packages without a link: there is no network to look them up.

    A public name may be written by the module where it lives; one of ours that is not public is
    left without a link too. What is written as `signals_core.NAME` must be there.
    """
    if node.get("refdomain") != "py":
        return None
    parts = str(node["reftarget"]).split(".")
    if parts[0] == "signals_core" and len(parts) == 2:
        return None
    if parts[-1] in signals_core.__all__ and node.get("reftype") in ("class", "exc", "obj"):
        target = f"signals_core.{parts[-1]}"
        python = env.domains.python_domain
        if target in python.objects:
            return python.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], target, node, content
            )
    return content


def _on_signature(
    app: Sphinx,
    what: str,
    name: str,
    subject: Any,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """Show the defaults that attrs hides in what it generates."""
    if not signature or not attrs.has(subject):
        return None
    defaults = {each.name: each.default for each in attrs.fields(subject)}
    shown = re.sub(r"attr_dict\['(\w+)'\]\.default", lambda m: _shown(defaults[m[1]]), signature)
    return shown.replace("= NOTHING", "= ..."), returns


def _shown(default: object) -> str:
    return repr(default).replace("datetime.timedelta", "timedelta")


def _with_code(lines: list[str]) -> Iterator[str]:
    is_code = False
    for before, line in pairwise(["", *lines]):
        if line and not is_code and line.startswith("    ") and not before:
            yield from (".. code-block:: python", "")
        if line:
            is_code = line.startswith("    ")
        yield line


def _on_docstring(
    app: Sphinx, what: str, name: str, subject: Any, options: object, lines: list[str]
) -> None:
    """Show what is indented as code, and of a name that is no class what its module says of it.

    Else it would be shown what the type of its value is.
    """
    lines[:] = _with_code(lines)
    package, _, own = name.rpartition(".")
    if what != "data" or own not in getattr(import_module(package), "__all__", ()):
        return
    for home, names in vars(import_module(package))["_HOMES"].items():
        if own in names:
            said = ModuleAnalyzer.for_module(f"{package}.{home}").find_attr_docs()
            lines[:] = said.get(("", own), [])


def _on_page_read(app: Sphinx, tree: nodes.document) -> None:
    """Keep short code whole: an option is not to break behind its hyphens."""
    for code in tree.findall(nodes.literal):
        if len(code.astext()) <= _SHORT:
            code["classes"].append("whole")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.connect("source-read", _on_page)
    app.connect("include-read", _on_include)
    app.connect("doctree-read", _on_page_read)
    app.connect("missing-reference", _on_missing)
    app.connect("autodoc-process-signature", _on_signature)
    app.connect("autodoc-process-docstring", _on_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
