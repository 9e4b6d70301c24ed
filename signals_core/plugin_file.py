"""A plugin that is one file of a project: imported by its path, under a name of its own."""

from __future__ import annotations

import re
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from threading import RLock
from types import FrameType, ModuleType
from typing import Any

_importing = RLock()


def import_file(file: Path) -> ModuleType:
    """Import a file, once as long as it stays the same, and write nothing beside it.

    What it prints meanwhile goes to standard error: standard output carries metrics.
    The name of the module tells files of the same name apart. Raises `OSError` for what cannot be
    read, and whatever its code raises.
    """
    source = file.read_bytes()
    told_apart = sha256(str(file.resolve()).encode() + b"\0" + source).hexdigest()[:16]
    stem = re.sub(r"\W", "_", file.stem)
    name = f"signals_plugin_{stem}_{told_apart}"
    with _importing:
        if name not in sys.modules:
            _import(name, file, source)
        return sys.modules[name]


def _import(name: str, file: Path, source: bytes) -> None:
    code = compile(source, str(file), "exec", dont_inherit=True)
    module = ModuleType(name)
    module.__file__ = str(file)
    # Not sys.stdout itself: while a reload imports, sinks go on writing there in other threads.
    module.__dict__["print"] = _print_aside
    sys.modules[name] = module  # annotations are looked up there
    try:
        exec(code, module.__dict__)  # noqa: S102 - the project says that this is its code
    except BaseException:
        del sys.modules[name]
        raise
    if module.__dict__.get("print") is _print_aside:
        del module.__dict__["print"]


def _print_aside(*values: object, **options: Any) -> None:
    aside: dict[str, Any] = {"file": sys.stderr}
    print(*values, **aside | options)  # noqa: T201 - it is what was asked for


def line_of_error(error: BaseException, file: Path) -> int:
    """Return the last line of a file that led to an error, 0 where none did."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    lines = [each.lineno or 0 for each in frames if each.filename == str(file)]
    return lines[-1] if lines else 0


def line_of_call(frame: FrameType | None, file: Path) -> int:
    """Return the line of a file that calls, 0 where another file does."""
    while frame is not None:
        if frame.f_code.co_filename == str(file):
            return frame.f_lineno
        frame = frame.f_back
    return 0
