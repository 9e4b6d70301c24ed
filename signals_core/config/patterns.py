"""What text looks like, in the regular expressions that JSON Schema (ECMA 262) and Python share.

The parsers decide; these are for editors, and a test compares the two.
"""

from __future__ import annotations

from signals_core.config import scalars

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_DEFAULT = r":-(?:[^}\\$]|\\[\s\S]|\$(?!\{[^}\\]*\}))*"

#: Text in which every `${` begins a reference, or is escaped as `$${`.
TEXT = rf"^(?:[^$]|\$(?!\$?\{{)|\$\$\{{|\$\{{(?:file:[^}}]+|{_VARIABLE}(?:{_DEFAULT})?)\}})*$"

_ARGUMENT = r"""(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`)"""
_CALL = rf"(?:getEnv\s+{_ARGUMENT}|getEnvOrDefault\s+{_ARGUMENT}\s+{_ARGUMENT})\s*(?:\s-)?\}}\}}"

#: Text that holds a template call which the original project does not know either.
UNKNOWN_CALL = rf"\{{\{{-?\s*(?!{_CALL})getEnv"

#: Text that something else comes in the place of, so that nobody knows yet what it will be.
REFERENCE = r"(?:^|[^$])\$\{|\{\{-?\s*getEnv"

INTEGER = f"^{scalars.INTEGER.pattern}$"
NUMBER = f"^{scalars.NUMBER.pattern}$"

_AMOUNT = r"[0-9]+(?:\.[0-9]+)?"
_NOT_ZERO = r"(?=[^1-9]*[1-9])"

DURATION = rf"^(?:0|(?:{_AMOUNT}(?:ms|[smhdw]))+)$"
POSITIVE_DURATION = rf"^{_NOT_ZERO}(?:{_AMOUNT}(?:ms|[smhdw]))+$"
GRAIN = rf"^(?:1d|1w|1mo|1q|1y|{_NOT_ZERO}(?:{_AMOUNT}(?:ms|[smh]))+)$"

_DATE = r"[0-9]{4}(?:-(?:[0-9]{2}-[0-9]{2}|W[0-9]{2}(?:-[1-7])?)|[0-9]{4}|W[0-9]{2}[1-7]?)"
_FRACTION = r"(?:[.,][0-9]+)?"
_CLOCK = (
    rf"[0-9]{{2}}(?::[0-9]{{2}}(?::[0-9]{{2}}{_FRACTION})?|[0-9]{{2}}(?:[0-9]{{2}}{_FRACTION})?)?"
)

#: A date, or a date and a time, as ISO 8601 has them.
MOMENT = rf"^{_DATE}(?:[\s\S]{_CLOCK}(?:Z|[+-]{_CLOCK})?)?$"

#: A name without slashes, which is not empty.
NAME = r"^[^/]+$"

PATH = r"^[^\u0000]+$"
