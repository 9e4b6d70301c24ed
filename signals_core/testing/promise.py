"""The conformance kit."""

from __future__ import annotations

from attrs import frozen


@frozen
class Promise:
    """One sentence of the plugin API: why it matters, and how a plugin that breaks it is mended."""

    name: str
    text: str
    why: str
    remedy: str


PROMISES: tuple[Promise, ...] = ()


class PromiseBroken(AssertionError):
    """A plugin does not do what the plugin API promises."""
