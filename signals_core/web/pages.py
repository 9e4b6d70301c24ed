"""The status page: HTML made of what the store and the daemon know when it is asked for.

It only reads. Nothing in it waits for a source, a sink or the transaction of another thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from attrs import define, field
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from signals_core.errors import reason_of
from signals_core.facts import Configured, Facts
from signals_core.findings import of_problem
from signals_core.origins import of_number
from signals_core.phrases import counted, moment
from signals_core.runner import Runner
from signals_core.secret import mask
from signals_core.store import Store, StoreError
from signals_core.web import collector_page, overview, strip
from signals_core.web.app import Answer, Request, Response
from signals_core.web.plot import Plot
from signals_core.web.series import Trails
from signals_core.window import iso

_TEMPLATES = Path(__file__).parent / "templates"
_HTML = "text/html; charset=utf-8"
_COMMAND = re.compile(r"`([^`]+)`")
_LEAST_SECONDS = 5
_SERIES = 3  # of each collector in the overview

Look = Callable[[Store, Facts], Response]


@define(eq=False)
class Pages:
    """The pages of a runner, which need not be started yet; `configured` is asked each time."""

    runner: Runner
    state_dir: Path
    configured: Callable[[], Configured]
    _trails: Trails[overview.Spark] = field(factory=lambda: Trails(_SERIES, _SERIES), init=False)

    def routes(self) -> Mapping[str, Answer]:
        """Return what is answered, by the patterns of paths."""
        return {
            "/": self.overview,
            "/collectors/{name}": self.collector,
            "/explain/{uuid}": self.explain,
            "/style.css": self.style,
        }

    def overview(self, request: Request) -> Response:
        """Show what is late and why, and all collectors and sinks."""

        def look(store: Store, facts: Facts) -> Response:
            seen = overview.looked_at(store, facts, self.configured(), self._trails)
            return _page("overview.html", seen=seen, every=_seconds(request))

        return self._looked(look)

    def collector(self, request: Request) -> Response:
        """Show one collector."""
        name = request.named["name"]

        def look(store: Store, facts: Facts) -> Response:
            page = collector_page.looked_at(store, facts, self.configured(), name)
            if page is None:
                return self.nothing(request)
            return _page("collector.html", page=page)

        return self._looked(look)

    def explain(self, request: Request) -> Response:
        """Show where a number comes from."""
        try:
            uuid = UUID(request.named["uuid"])
        except ValueError:
            return self.nothing(request)

        def look(store: Store, facts: Facts) -> Response:
            found = store.find(uuid)
            names = {each.collector.name for each in facts.collectors.values()}
            facts_of = [(each.run.name, list(of_number(each))) for each in found]
            status = 200 if found else 404
            return _page("explain.html", status, uuid=uuid, found=facts_of, names=names)

        return self._looked(look)

    def style(self, request: Request) -> Response:
        """Return the style sheet."""
        text = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
        return Response(text, content_type="text/css; charset=utf-8")

    def nothing(self, request: Request) -> Response:
        """Say that there is no such page, and which there are."""
        facts = self.runner.facts()
        collectors = facts.collectors.values() if facts else ()
        names = [each.collector.name for each in collectors]
        return _page("nothing.html", 404, path=request.path, names=names)

    def _looked(self, look: Look) -> Response:
        facts = self.runner.facts()
        if facts is None:
            return _page("waiting.html", 503, reason="")
        try:
            with Store.look(self.state_dir) as store:
                return look(store, facts)
        except StoreError as error:
            return _page("waiting.html", 503, reason=reason_of(error))


def _page(template: str, status: int = 200, **seen: Any) -> Response:
    return Response(_templates().get_template(template).render(seen), status, _HTML)


@cache
def _templates() -> Environment:
    """Return the templates. What is not marked as HTML is escaped, and secrets in it are masked."""
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_masked,
    )
    templates.filters |= {
        "commands": _commands,
        "counted": counted,
        "link": _link,
        "iso": iso,
        "moment": moment,
        "problem": of_problem,
    }
    templates.globals |= {
        "meanings": strip.MEANINGS,
        "one_of": {kind: strip.Strip([strip.Mark(kind, "")], "mark") for kind in strip.MEANINGS},
        "overview": overview,
        "Plot": Plot,
    }
    return templates


def _masked(value: Any) -> Any:
    return mask(value) if type(value) is str else value


def _commands(text: str) -> Markup:
    """Return a remark with its commands as code."""
    pieces = _COMMAND.split(mask(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )


def _link(name: str) -> Markup:
    return Markup("/collectors/{}").format(quote(name, safe=""))


def _seconds(request: Request) -> int | None:
    """Return how often a page is to be shown anew, if at all."""
    asked = request.query.get("every", "")
    return max(int(asked), _LEAST_SECONDS) if asked.isdecimal() and len(asked) < 5 else None
