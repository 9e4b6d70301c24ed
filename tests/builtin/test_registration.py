"""The built-in types are registered like any plugin's."""

from __future__ import annotations

import subprocess
import sys

from signals_core.registry import Registry


def test_builtin_types_come_from_the_registry() -> None:
    """Every built-in type is found and loads, under the name that configurations use."""
    registry = Registry.discover()
    ours = [("source", "sqlite"), ("sink", "console"), ("sink", "file")]
    ours += [("schedule", "cron"), ("schedule", "interval")]
    for kind, name in ours:
        assert registry.types[kind, name].provider.startswith("signals-core ")
        assert registry.load(kind, name).__module__.startswith("signals_core.builtin.")


def test_discovery_imports_no_type() -> None:
    """A type's module, and what it needs, is imported when a collector uses it."""
    program = (
        "import sys; import signals_core.builtin; "
        "heavy = ('sqlite3', 'rich', 'cronsim', 'signals_core.builtin.file'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
