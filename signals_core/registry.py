"""Discovery of plugins, and the isolation of broken ones.

Entry points are loaded one by one and hooks are called per plugin, so that a plugin that fails is
listed by name with a remedy and takes nothing else down.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any

import pluggy
from attrs import define, field, frozen

from signals_core.errors import PluginError
from signals_core.fields import fields_of, is_own_attrs_class
from signals_core.plugin import GROUP, Hooks, Plugin, Schedule, Sink, Source

KINDS: dict[str, type[Plugin]] = {"source": Source, "sink": Sink, "schedule": Schedule}

_CORE = "signals-core"

#: What a plugin may do to us: anything but stop a person's Ctrl-C.
_ANY_FAILURE = (Exception, SystemExit)

#: Published types and the distributions that bring them, for "not installed" messages.
_PUBLISHED = {
    ("source", "postgres"): "signals-postgres",
    ("source", "mongodb"): "signals-mongo",
    ("sink", "http"): "signals-vector",
}


@frozen
class BrokenPlugin:
    """A plugin, or one of its types, that cannot be used."""

    name: str
    provider: str
    reason: str
    remedy: str
    error: BaseException | None = field(default=None, eq=False, repr=False)


@define
class PluginType:
    """A registered type: `load` gives its class."""

    kind: str
    name: str
    provider: str
    _target: type[Plugin] | str
    _class: type[Plugin] | None = field(init=False, default=None)

    def load(self) -> type[Plugin]:
        """Import and check the class. Raises `PluginError` when it cannot be used."""
        if self._class is None:
            target = self._target
            cls = self._import(target) if isinstance(target, str) else target
            _check_class(self.kind, cls)
            self._class = cls
        return self._class

    def _import(self, target: str) -> Any:
        module, _, name = target.partition(":")
        try:
            return getattr(import_module(module), name)
        except _ANY_FAILURE as error:
            raise PluginError(
                f"{target} of {self.provider} cannot be imported: {_described(error)}",
                f"reinstall or upgrade {self.provider}",
            ) from error


class Registry:
    """The types that are installed, and the plugins that are broken."""

    def __init__(self) -> None:
        self.types: dict[tuple[str, str], PluginType] = {}
        self.broken: list[BrokenPlugin] = []

    @classmethod
    def discover(cls) -> Registry:
        """Load every entry point of the group `signals`, our own first, then by name."""
        registry = cls()
        for entry_point, provider in _entry_points(registry.broken):
            registry._add(entry_point, provider)
        return registry

    def names(self, kind: str) -> list[str]:
        """Return the names of the types of one kind."""
        return sorted(name for of, name in self.types if of == kind)

    def load(self, kind: str, name: str) -> type[Plugin]:
        """Return the class of a type. Raises `PluginError` with the remedy when there is none."""
        found = self.types.get((kind, name))
        if found is not None:
            return found.load()
        if package := _PUBLISHED.get((kind, name)):
            raise PluginError(
                f"the {kind} type {name!r} is not installed", f"pip install {package}"
            )
        close = get_close_matches(name, self.names(kind), n=1)
        known = f"did you mean {close[0]}?" if close else f"known: {', '.join(self.names(kind))}"
        if self.broken:
            known += "; signals plugins says what is broken"
        raise PluginError(f"no plugin brings the {kind} type {name!r}", known)

    def check_all(self) -> None:
        """Load every type, listing as broken those that cannot be."""
        for entry in self.types.values():
            self._check(entry)

    def _add(self, entry_point: EntryPoint, provider: str) -> None:
        def refuse(reason: str, remedy: str, error: BaseException | None = None) -> None:
            self.broken.append(BrokenPlugin(entry_point.name, provider, reason, remedy, error))

        try:
            module = entry_point.load()
        except _ANY_FAILURE as error:
            remedy = f"reinstall or upgrade {provider}"
            refuse(f"its import failed: {_described(error)}", remedy, error)
            return
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(Hooks)
        try:
            manager.register(module)
            manager.check_pending()
        except _ANY_FAILURE as error:
            refuse(*_misspelt(module, error), error)
            return
        found = 0
        for kind in KINDS:
            hook = getattr(manager.hook, f"signals_register_{kind}s")
            found += len(hook.get_hookimpls())
            try:
                hook(register=self._registrar(kind, provider, refuse))
            except _ANY_FAILURE as error:
                refuse(f"its hook failed: {_described(error)}", f"report it to {provider}", error)
        if not found:
            refuse("it has no hook", "decorate signals_register_sources (…) with @hookimpl")

    def _registrar(self, kind: str, provider: str, refuse: Any) -> Any:
        def register(name: Any, target: Any) -> None:
            if not isinstance(name, str) or not name:
                refuse(f"{name!r} is no name for a {kind} type", 'register("name", Class)')
                return
            taken = self.types.get((kind, name))
            if taken is not None:
                refuse(
                    f"the {kind} type {name!r} is already brought by {taken.provider}",
                    "uninstall one of the two, or ask its author to rename the type",
                )
                return
            entry = PluginType(kind, name, provider, target)
            self.types[kind, name] = entry
            if not isinstance(target, str):
                self._check(entry)

        return register

    def _check(self, entry: PluginType) -> None:
        try:
            entry.load()
        except PluginError as error:
            broken = BrokenPlugin(entry.name, entry.provider, error.reason, error.remedy, error)
            if broken not in self.broken:
                self.broken.append(broken)


def _entry_points(broken: list[BrokenPlugin]) -> Iterable[tuple[EntryPoint, str]]:
    """Return our entry points and who provides them, ours first; `broken` gets the unreadable.

    As for pip and for imports, a distribution that comes again later on the path is not there.
    """
    found: dict[str, list[tuple[EntryPoint, str]]] = {}
    for distribution in distributions():
        try:
            ours = [each for each in distribution.entry_points if each.group == GROUP]
            if ours:
                name = _name_of(distribution)
                provided = [(each, f"{name} {distribution.version}") for each in ours]
                found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), provided)
        except _ANY_FAILURE as error:
            where = str(getattr(distribution, "_path", "a distribution"))
            reason = f"its metadata cannot be read: {_described(error)}"
            broken.append(BrokenPlugin(Path(where).name, where, reason, "reinstall or remove it"))
    names = sorted(found, key=lambda name: (name != _CORE, name))
    return [each for name in names for each in sorted(found[name], key=lambda each: each[0].name)]


def _name_of(distribution: Distribution) -> str:
    name: str | None = distribution.metadata["Name"]
    if not name:
        raise LookupError("it has no name")
    return name


def _check_class(kind: str, cls: Any) -> None:
    base = KINDS[kind]
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise PluginError(
            f"{getattr(cls, '__qualname__', cls)!s} is no {base.__name__}",
            f"derive it from signals_core.{base.__name__}",
        )
    own = fields_of(cls)
    query = getattr(cls, "Query", None)
    if query is None:
        return
    if not (inspect.isclass(query) and is_own_attrs_class(query)):
        raise PluginError(
            f"the class {cls.__qualname__}.Query is not decorated", "put attrs.define above it"
        )
    shared = sorted(own.keys() & fields_of(query).keys())
    if shared:
        raise PluginError(
            f"{cls.__qualname__} and its Query both have the field {', '.join(shared)}",
            "rename one of the two",
        )


def _misspelt(module: Any, error: BaseException) -> tuple[str, str]:
    known = [name for name in vars(Hooks) if name.startswith("signals_")]
    for name, value in getattr(module, "__dict__", {}).items():
        is_hook = name.startswith("signals_") and hasattr(value, f"{GROUP}_impl")
        if is_hook and name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.0)
            return f"there is no hook {name}", f"did you mean {close[0]}?"
    return f"its hook does not fit: {_described(error)}", "define it as hook(register)"


def _described(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
