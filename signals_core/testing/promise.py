"""A promise of the plugin API, and what is said of a plugin that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from attrs import frozen

P = ParamSpec("P")
S = TypeVar("S", bound="Tested")
Test: TypeAlias = Callable[Concatenate[S, P], None]


@frozen
class Promise:
    """One sentence of the plugin API: why it matters, and how a plugin that breaks it is mended.

    `needs` names what an author gives to the suite to have it tested.
    """

    name: str
    text: str
    why: str
    remedy: str
    needs: tuple[str, ...] = ()


class PromiseBroken(AssertionError):
    """A plugin does not do what the plugin API promises.

    `promise` is which, `plugin` the name of the class, `seen` what it did instead.
    """

    def __init__(self, promise: Promise, plugin: str, seen: str) -> None:
        self.promise = promise
        self.plugin = plugin
        self.seen = seen
        super().__init__(
            f"{plugin} breaks the promise {promise.name!r}: {promise.text}\n"
            f"  seen: {seen}\n"
            f"  why it matters: {promise.why}\n"
            f"  usually mended: {promise.remedy}"
        )


class Seen(Exception):
    """What a test saw a plugin do that it must not do."""


class Tested(Protocol):
    """A suite, which knows the name of what it tests."""

    @property
    def plugin_name(self) -> str:
        """The name of the class under test."""


def keeps(promise: Promise) -> Callable[[Test[S, P]], Test[S, P]]:
    """Make a test's every failure, the plugin's surprises included, say which promise broke."""

    def decorate(test: Test[S, P]) -> Test[S, P]:
        @wraps(test)
        def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            __tracebackhide__ = True
            try:
                test(self, *args, **kwargs)
            except Seen as seen:
                raise PromiseBroken(promise, self.plugin_name, str(seen)) from seen.__cause__
            except Exception as error:
                raise PromiseBroken(promise, self.plugin_name, described(error)) from error

        marked: Any = wrapper
        marked.promise = promise
        return wrapper

    return decorate


def described(error: BaseException) -> str:
    """Say an exception in one line, with its kind."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
