"""Small plugins whose configuration tests read: one of each kind, with every kind of field."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Literal

import attrs
from attrs import define, field

from signals_core import Json, Schedule, Secret, Sink, Source
from signals_core.registry import PluginType, Registry


class Read(Source):
    """Is only configured here."""

    def read(self, request):
        return iter(())


class Written(Sink):
    """Is only configured here."""

    def write(self, batch):
        """Take it."""


class Asked(Schedule):
    """Is only configured here."""

    def next_after(self, moment):
        return moment


@define
class Shop(Read):
    """A source like an SQL database."""

    uri: Secret
    timezone: str = "UTC"
    since: datetime | None = None
    port: int = field(default=1, validator=attrs.validators.ge(1))
    mode: str = field(default="ro", validator=attrs.validators.in_(["ro", "rw"]))

    @define
    class Query:
        """SQL, with window names after colons."""

        sql: str

    def parameters(self, query):
        if "DROP" in query.sql:
            raise ValueError("the query drops\nsomething")
        return set(re.findall(r"(?<!:):([a-z_]+)", query.sql))


@define
class Documents(Read):
    """A source like a document database."""

    uri: Secret
    database: str

    @define
    class Query:
        """An aggregation."""

        collection: str
        agg: Json

    def parameters(self, query):
        if query.collection == "$":
            raise ValueError("collection: '$' is no name of a collection")
        return set(re.findall(r":(window_\w+)", str(query.agg)))


@define
class Console(Written):
    """A sink without configuration."""


@define
class File(Written):
    """A sink with a path."""

    path: Path


def _is_http(_instance, attribute, value):
    if not value.startswith("http://"):
        raise ValueError(f"{attribute.name} must begin with http://")


@define
class Http(Written):
    """A sink that looks at what it is given."""

    uri: str = field(validator=_is_http)
    method: Literal["POST", "PUT"] = "POST"
    token: Secret | None = None
    verify_tls: bool = True
    headers: dict[str, Secret] = field(factory=dict)
    username: str | None = None

    def __attrs_post_init__(self):
        if self.token is not None and self.username is not None:
            raise ValueError("username: there is a token already")


@define
class Interval(Asked):
    """A schedule like the built-in one."""

    interval: timedelta = field()

    @interval.validator
    def _is_positive(self, attribute, value):
        if value <= timedelta():
            raise ValueError("an interval of zero never ends (write it like 30s or 1h)")


@define
class Cron(Asked):
    """A schedule with a zone."""

    cron: str = field()
    timezone: str | None = None

    @cron.validator
    def _has_five_fields(self, attribute, value):
        if len(value.split()) != 5:
            raise ValueError(f"{value!r} is no cron expression")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@define
class Part:
    """A nested class."""

    name: str
    count: int = 1


@define
class Everything(Read):
    """A field of each type, and what the types are made of."""

    text: str = ""
    number: int = 0
    ratio: float = 0.0
    amount: Decimal = Decimal(0)
    flag: bool = False
    path: Path = Path("/nowhere")
    length: timedelta = timedelta()
    moment: datetime | None = None
    secret: Secret | None = None
    json: Json = None
    choice: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    level: Level = Level.LOW
    texts: list[str] = field(factory=list)
    lengths: list[timedelta] = field(factory=list)
    by_name: dict[str, int] = field(factory=dict)
    maybe: int | None = 7
    part: Part = field(factory=lambda: Part("none"))
    parts: list[Part] = field(factory=list)


def a_registry() -> Registry:
    """Return a registry of the plugins above, as if they were installed."""
    registry = Registry()
    for kind, name, cls in (
        ("source", "shop", Shop),
        ("source", "documents", Documents),
        ("source", "everything", Everything),
        ("sink", "console", Console),
        ("sink", "file", File),
        ("sink", "http", Http),
        ("schedule", "interval", Interval),
        ("schedule", "cron", Cron),
        ("source", "gone", "no_such_module:Gone"),
    ):
        registry.types[kind, name] = PluginType(kind, name, "tests 1", cls)
    return registry
