"""The fields that a plugin's class declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

import pytest
from attrs import define, field, frozen

from signals_core import Json, Secret, Source
from signals_core.errors import PluginError
from signals_core.fields import fields_of, in_words, is_own_attrs_class, type_name


class Colour(Enum):
    RED = "red"


@frozen
class Inner:
    name: str
    inner: dict[str, list[int]] | None = None


@define
class Everything(Source):
    """All types that a field may have."""

    a: str
    b: int = 1
    c: float = 0.5
    d: bool = False
    e: Decimal = Decimal(1)
    f: Path | None = None
    g: timedelta = timedelta(1)
    h: datetime | None = None
    i: Secret | None = None
    j: Json = None
    k: Literal["x", "y"] = "x"
    m: Colour = Colour.RED
    n: list[str] = field(factory=list)
    o: dict[str, Inner] = field(factory=dict)
    p: Optional[int] = None  # noqa: UP045 - as some still write it
    q: list[dict[str, Json]] = field(factory=list)
    _r: str = "private"
    s: Inner = field(default=Inner("x"), kw_only=True)
    about: ClassVar[Any] = None
    state: Any = field(init=False, default=None)


def test_all_types():
    """Every type of the contract is a field's, under the name that a configuration has."""
    found = fields_of(Everything)
    assert set(found) == {*"abcdefghijkmnopqrs", "max_connections"}
    assert found["a"].required and not found["b"].required
    assert (found["b"].default, found["n"].default, found["r"].default) == (1, [], "private")
    assert found["a"].type is str


def test_defaults_that_need_an_instance():
    """A default that is made from the instance is not known beforehand."""

    @define
    class Late:
        a: str = "x"
        b: str = field()

        @b.default
        def _same(self):
            return self.a

    assert fields_of(Late)["b"].default is None and not fields_of(Late)["b"].required


@define
class Bare:
    a: str = ""
    tags: Any = None


def of_type(kind: Any) -> type:
    return define(type("Made", (), {"__annotations__": {"it": kind}, "__module__": __name__}))


@pytest.mark.parametrize(
    "kind",
    [
        Any,
        object,
        list,
        dict,
        set[str],
        tuple[str, ...],
        bytes,
        date,
        complex,
        None,
        str | int,
        str | int | None,
        dict[int, str],
        list[bytes],
        dict[str, Any],
        Mapping[str, str],
        Literal[1, 2],
        type("Plain", (), {}),
        type("Undecorated", (Inner,), {}),
        Bare,
        list[Bare],
    ],
    ids=str,
)
def test_types_that_no_configuration_holds(kind):
    """Any other type is an error that names the field, its class, and what would do."""
    with pytest.raises(
        PluginError, match=r"^the field \w+ of (Made|Bare) has the type .*Secret Json"
    ):
        fields_of(of_type(kind))


def test_a_field_without_annotation():
    """A field whose type nobody wrote is an error."""
    import attrs

    made = attrs.make_class("Made", {"it": attrs.field()})
    with pytest.raises(PluginError, match="the field it of Made has the type None"):
        fields_of(made)


@define
class Endless:
    inner: list[Endless]


@define
class Around:
    one: Inner
    other: Inner


def test_a_class_inside_itself():
    """A class that holds itself is an error, one that holds another twice is not."""
    with pytest.raises(PluginError, match="the field inner of Endless"):
        fields_of(Endless)
    assert set(fields_of(Around)) == {"one", "other"}


class Undecorated(Source):
    uri: str


def test_an_undecorated_class():
    """A subclass that is not decorated has no fields of its own, so it is an error."""
    assert is_own_attrs_class(Everything) and not is_own_attrs_class(Undecorated)
    with pytest.raises(
        PluginError, match=r"the class Undecorated is not decorated \(put attrs.define"
    ):
        fields_of(Undecorated)


@pytest.mark.parametrize("annotation", ["Missing", "list[", "1 / 0", "open('/')", "[]()"])
def test_annotations_that_cannot_be_resolved(annotation):
    """Whatever an annotation raises is an error that says where its names belong."""
    with pytest.raises(PluginError, match="an annotation of Made cannot be resolved"):
        fields_of(of_type(annotation))


def test_a_default_that_cannot_be_made():
    """A default whose factory fails is an error, and nothing else."""

    @define
    class Late:
        a: float = field(factory=lambda: 1 / 0)

    with pytest.raises(PluginError, match="the default of the field a cannot be made: division"):
        fields_of(Late)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (str, "str"),
        (Json, "Json"),
        (Secret, "Secret"),
        (list[str], "list[str]"),
        (str | None, "str | None"),
        (Secret | None, "Secret | None"),
        (dict[str, Secret], "dict[str, Secret]"),
        (list[Path] | None, "list[Path] | None"),
        (Literal["a"], "Literal['a']"),
    ],
)
def test_type_names(kind, name):
    """A type is shown as an author writes it."""
    assert type_name(kind) == name


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (str, "text"),
        (timedelta | None, "a duration such as 30s, 1h30m or 1.5h"),
        (Json, "JSON or a YAML tree"),
        (Json | None, "JSON or a YAML tree"),
        (Literal["a", "b"], "one of a, b"),
        (Colour, "one of red, blue"),
        (list[Path], "a list, each item a path"),
        (dict[str, Secret], "a mapping, each value a secret"),
        (of_type("int"), "a mapping"),
    ],
)
def test_types_in_words(kind, words):
    """Who writes a configuration is told what a field takes in words, not in Python."""
    assert in_words(kind) == words
