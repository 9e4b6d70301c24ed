"""Discovery of plugins, and the isolation of broken ones.

Entry points are loaded one by one and hooks are called per plugin, so that a plugin that fails is
listed by name with a remedy and takes nothing else down.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
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
from signals_core.plugin_file import import_file, line_of_call, line_of_error

KINDS: dict[str, type[Plugin]] = {"source": Source, "sink": Sink, "schedule": Schedule}

#: What a type of each kind must define, as it is written.
_TASKS = {
    "source": "read(self, request)",
    "sink": "write(self, batch)",
    "schedule": "next_after(self, moment)",
}

_CORE = "signals-core"

#: What a plugin may do to us: anything but stop a person's Ctrl-C.
_ANY_FAILURE = (Exception, SystemExit)

#: Published types and the distributions that bring them, for "not installed" messages.
PUBLISHED = {
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
    place: str = ""
    """Where in its file, of a plugin that is one file of the project."""

    @property
    def where(self) -> str:
        """Who brings it, as exactly as is known."""
        return self.place or self.provider


@frozen
class _Origin:
    """Where a plugin comes from: a distribution, or a file of the project."""

    name: str
    provider: str
    file: Path | None = None

    def remedy(self, of_distribution: str, of_file: str = "mend it") -> str:
        """Return what helps."""
        return of_distribution if self.file is None else of_file

    def place(self, error: BaseException | None) -> str:
        """Return the line in the file that led to an error, else the one that calls us."""
        if self.file is None:
            return ""
        if error is not None:
            line = line_of_error(error, self.file)
        else:
            line = line_of_call(inspect.currentframe(), self.file)
        return f"{self.provider}:{line}" if line else ""


@define
class PluginType:
    """A registered type: `load` gives its class."""

    kind: str
    name: str
    provider: str
    _target: type[Plugin] | str
    _remedy: str = "reinstall or upgrade it"
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
                self._remedy,
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
            registry._add(_Origin(entry_point.name, provider), entry_point.load)
        return registry

    def names(self, kind: str) -> list[str]:
        """Return the names of the types of one kind."""
        return sorted(name for of, name in self.types if of == kind)

    def load(self, kind: str, name: str) -> type[Plugin]:
        """Return the class of a type. Raises `PluginError` with the remedy when there is none."""
        found = self.types.get((kind, name))
        if found is not None:
            return found.load()
        if package := PUBLISHED.get((kind, name)):
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

    def add_file(self, file: Path, shown: str) -> list[BrokenPlugin]:
        """Register what a file of the project brings; returns what of it is broken.

        `shown` is how the file is named to a person.
        """
        before = len(self.broken)
        self._add(_Origin(file.stem, shown, file), lambda: import_file(file))
        return self.broken[before:]

    def _add(self, origin: _Origin, load: Callable[[], Any]) -> None:
        def refuse(
            reason: str, remedy: str, error: BaseException | None = None, place: str = ""
        ) -> None:
            place = place or origin.place(error)
            self.broken.append(
                BrokenPlugin(origin.name, origin.provider, reason, remedy, error, place)
            )

        try:
            module = load()
        except _ANY_FAILURE as error:
            refuse(*_import_failure(origin, error), error)
            return
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(Hooks)
        try:
            manager.register(module)
            manager.check_pending()
        except _ANY_FAILURE as error:
            hook, reason, remedy = _misfit(module, error)
            line = hook.__code__.co_firstlineno if origin.file and hook else 0
            refuse(reason, remedy, error, f"{origin.provider}:{line}" if line else "")
            return
        found = 0
        for kind in KINDS:
            hook = getattr(manager.hook, f"signals_register_{kind}s")
            found += len(hook.get_hookimpls())
            try:
                hook(register=self._registrar(kind, origin, refuse))
            except _ANY_FAILURE as error:
                remedy = origin.remedy(f"report it to {origin.provider}")
                refuse(f"its hook failed: {_described(error)}", remedy, error)
        if not found:
            refuse("it has no hook", "decorate signals_register_sources (…) with @hookimpl")

    def _registrar(self, kind: str, origin: _Origin, refuse: Any) -> Any:
        def register(name: Any, target: Any) -> None:
            if not isinstance(name, str) or not name:
                refuse(f"{name!r} is no name for a {kind} type", 'register("name", Class)')
                return
            taken = self.types.get((kind, name))
            if taken is not None:
                remedy = "uninstall one of the two, or ask its author to rename the type"
                refuse(
                    f"the {kind} type {name!r} is already brought by {taken.provider}",
                    origin.remedy(remedy, "register it under another name"),
                )
                return
            remedy = origin.remedy(
                f"reinstall or upgrade {origin.provider}", "register the class itself, not its name"
            )
            entry = PluginType(kind, name, origin.provider, target, remedy)
            self.types[kind, name] = entry
            if not isinstance(target, str):
                self._check(entry, origin.place(None))

        return register

    def _check(self, entry: PluginType, place: str = "") -> None:
        try:
            entry.load()
        except PluginError as error:
            key = (entry.name, entry.provider, error.reason)
            if key not in {(each.name, each.provider, each.reason) for each in self.broken}:
                self.broken.append(BrokenPlugin(*key, error.remedy, error, place))


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
    if isinstance(cls, Plugin):
        name = type(cls).__qualname__
        raise PluginError(
            f"an instance of {name} is registered, not the class",
            f"register {name} itself: collectors' configurations make the instances",
        )
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise PluginError(
            f"{getattr(cls, '__qualname__', cls)!s} is no {base.__name__}",
            f"derive it from signals_core.{base.__name__}",
        )
    own = fields_of(cls)
    task = _TASKS[kind].partition("(")[0]
    if getattr(cls, task) is getattr(base, task):
        raise PluginError(f"{cls.__qualname__} does not define {task}()", f"add {_TASKS[kind]}")
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


def _import_failure(origin: _Origin, error: BaseException) -> tuple[str, str]:
    if origin.file is None:
        return f"its import failed: {_described(error)}", f"reinstall or upgrade {origin.provider}"
    if isinstance(error, OSError) and error.filename == str(origin.file):
        return f"cannot be read: {error.strerror}", "paths are relative to the project file"
    if isinstance(error, ModuleNotFoundError):
        remedy = "install it; a file beside this one is not found: make a distribution of the two"
        return f"its import failed: {_described(error)}", remedy
    return f"its import failed: {_described(error)}", "mend it"


def _misfit(module: Any, error: BaseException) -> tuple[Any, str, str]:
    """Return the hook that does not fit, where it is known, why, and what would."""
    known = [name for name in vars(Hooks) if name.startswith("signals_")]
    hooks = {
        name: value
        for name, value in getattr(module, "__dict__", {}).items()
        if name.startswith("signals_") and hasattr(value, f"{GROUP}_impl")
    }
    for name, value in hooks.items():
        if name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.0)
            return value, f"there is no hook {name}", f"did you mean {close[0]}?"
    hook = next(iter(hooks.values())) if len(hooks) == 1 else None
    return hook, f"its hook does not fit: {_described(error)}", "define it as hook(register)"


def _described(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
