"""References in configuration text: `${NAME}`, `${NAME:-default}`, `${file:/path}`.

They are replaced in scalars after YAML was parsed, so that what they bring in is always text and
never structure. `$${` is a literal `${`, and `\\}` in a default is a `}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_REFERENCE = re.compile(
    r"\$\$\{"
    r"|\$\{file:(?P<file>[^}]+)\}"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    # a reference in a default is none: it would end at the inner brace
    r"(?::-(?P<default>(?:[^}\\$]|\\.|\$(?!\{[^}\\]*\}))*))?\}"
    r"|(?P<malformed>\$\{[^}]*\}?)",
    re.DOTALL,
)


#: The most that a file may bring, which is what Kubernetes allows a secret.
_MOST = 1024 * 1024


class Unresolved(LookupError):
    """A reference that leads nowhere now: a variable that is not set, a file that is not there."""


class Malformed(ValueError):
    """A `${` that starts no reference."""


def has_references(template: str) -> bool:
    """Whether `template` needs `expand` (an escaped `$${` counts)."""
    return "${" in template


def expand(
    template: str,
    environ: Mapping[str, str] | None = None,
    on_file: Callable[[str], object] = lambda _content: None,
) -> str:
    """Replace the references of `template`.

    As in a shell, `${NAME:-default}` gives the default for a variable that is unset or empty. A
    file's content is taken without its last line break and shown to `on_file`, since what comes
    from a file is treated as a secret. Raises `Unresolved` or `Malformed`.
    """
    variables = os.environ if environ is None else environ
    for match in _REFERENCE.finditer(template):  # told whether or not another leads nowhere
        if match["malformed"] is not None:
            raise Malformed(f"{match['malformed']!r} is no reference")

    def replace(match: re.Match[str]) -> str:
        if match["file"] is not None:
            content = _content_of(match["file"])
            on_file(content)
            return content
        if match["name"] is None:
            return "${"
        value = variables.get(match["name"])
        if match["default"] is not None:
            return value or match["default"].replace("\\}", "}")
        if value is None:
            raise Unresolved(f"the environment variable {match['name']} is not set")
        return value

    return _REFERENCE.sub(replace, template)


def anchored(template: str, folder: Path) -> str:
    """The same template with relative `${file:…}` paths made absolute from `folder`."""

    def anchor(match: re.Match[str]) -> str:
        return "${file:" + str(folder / match["file"]) + "}" if match["file"] else match[0]

    return _REFERENCE.sub(anchor, template)


def _content_of(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = file.read(_MOST + 1)  # a device may have no end
        if len(content) > _MOST:
            raise Unresolved(f"the file {path} cannot be read: longer than {_MOST} characters")
        return content.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unresolved(f"the file {path} cannot be read: not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: no file can have that name
        reason = getattr(error, "strerror", None) or str(error)
        raise Unresolved(f"the file {path} cannot be read: {reason}") from None
