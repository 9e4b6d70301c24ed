"""Discovery of plugins, and the isolation of broken ones.

What is discovered depends on sys.path, so each test looks from a fresh process.
"""

from __future__ import annotations

import pytest

GOOD = """
    from attrs import define
    from signals_core import Schedule, Sink, Source, hookimpl

    @define
    class Answers(Source):
        value: int = 42
        def read(self, request):
            yield {"value": self.value}

    @define
    class Nowhere(Sink):
        def write(self, batch): ...

    @define
    class Never(Schedule):
        def next_after(self, moment): ...

    @hookimpl
    def signals_register_sources(register):
        register("answers", Answers)

    @hookimpl
    def signals_register_sinks(register):
        register("nowhere", Nowhere)

    @hookimpl
    def signals_register_schedules(register):
        register("never", Never)
"""
IMPORTS = """
    from attrs import define, field
    from signals_core import Sink, Source, hookimpl
"""
LOOK = """
    from signals_core.registry import Registry
    registry = Registry.discover()
    before = list(registry.broken)
    registry.check_all()
    ours = lambda entry: "signals-" not in entry.provider
    print(json.dumps({
        "types": {f"{kind} {name}": entry.provider
                  for (kind, name), entry in registry.types.items() if ours(entry)},
        "broken": [[each.name, each.provider, each.reason, each.remedy]
                   for each in registry.broken if ours(each)],
        "only_when_needed": len(registry.broken) - len(before),
        "console": registry.load("sink", "console").__name__,
    }))
"""


@pytest.fixture
def look(plugins):
    """Discover what is in the folder, beside one plugin that is right."""
    plugins.add("good-one", GOOD)

    def look():
        found = plugins.run(LOOK)
        assert found["types"].items() >= GOOD_TYPES.items() and found["console"]
        return found

    return look


GOOD_TYPES = {
    "source answers": "good-one 0.1",
    "sink nowhere": "good-one 0.1",
    "schedule never": "good-one 0.1",
}


def test_a_third_party_without_pip(plugins):
    """A folder with metadata and an entry point is discovered and its source is read."""
    plugins.add("good-one", GOOD)
    assert plugins.run("""
        from signals_core import Collector, MetricDefinition, Runner
        from signals_core.registry import Registry
        source = Registry.discover().load("source", "answers")(value=7)
        collector = Collector(name="a", metric=MetricDefinition("m", "GAUGE"), source=source)
        with Runner([collector]) as runner:
            print([metric.value for metric in runner.invoke("a").metrics])
    """) == [7]


def test_nothing_is_broken(look):
    """What is right is not listed as broken."""
    found = look()
    assert found["broken"] == [] and found["types"] == GOOD_TYPES


@pytest.mark.parametrize(
    ("module", "reason", "remedy"),
    [
        (
            "import nowhere_to_be_found",
            "its import failed: ModuleNotFoundError: No module named",
            "reinstall",
        ),
        ("import sys; sys.exit(3)", "its import failed: SystemExit: 3", "reinstall"),
        ("1 / 0", "its import failed: ZeroDivisionError", "reinstall"),
        ("def f(:", "its import failed: SyntaxError", "reinstall"),
        (
            "import warnings; warnings.warn('old')",
            "its import failed: UserWarning: old",
            "reinstall",
        ),
        ("x = 1", "it has no hook", "decorate signals_register_sources (…) with @hookimpl"),
        (
            IMPORTS
            + """
    @hookimpl
    def signals_register_source(register):
        pass
""",
            "there is no hook signals_register_source",
            "did you mean signals_register_sources?",
        ),
        (
            IMPORTS
            + """
    def signals_helper():
        pass
    @hookimpl
    def signals_register_sinks(registry):
        pass
""",
            "its hook does not fit: PluginValidationError",
            "define it as hook(register)",
        ),
        (
            IMPORTS
            + """
    @hookimpl
    def signals_register_sources(register):
        raise RuntimeError("two\\n lines")
""",
            "its hook failed: RuntimeError: two lines",
            "report it to bad-one 0.1",
        ),
        (
            IMPORTS
            + """
    @hookimpl
    def signals_register_sources(register):
        raise SystemExit
""",
            "its hook failed: SystemExit",
            "report it to bad-one 0.1",
        ),
    ],
    ids="import exit raise syntax warning none misspelt argument hook hook-exit".split(),
)
def test_broken_plugins(look, plugins, module, reason, remedy):
    """A plugin that cannot be loaded is listed by name with a remedy, and nothing else suffers."""
    plugins.add("bad-one", module)
    ((name, provider, why, what),) = look()["broken"]
    assert (name, provider) == ("bad_one", "bad-one 0.1")
    assert why.startswith(reason) and what.startswith(remedy)


@pytest.mark.parametrize(
    ("body", "reason", "remedy"),
    [
        ("class Bad(Source):\n    uri: str", "the class Bad is not decorated", "put attrs.define"),
        (
            "@define\nclass Bad(Source):\n    uri: bytes",
            "the field uri of Bad has the type bytes",
            "a config",
        ),
        (
            "@define\nclass Bad(Source):\n    a: int = field(factory=lambda: 1 / 0)",
            "the default of the field a",
            "a default",
        ),
        (
            "@define\nclass Bad(Source):\n    a: 'Nope'",
            "an annotation of Bad cannot be resolved",
            "import what",
        ),
        (
            "@define\nclass Bad(Sink):\n    pass",
            "Bad is no Source",
            "derive it from signals_core.Source",
        ),
        ("Bad = 42", "42 is no Source", "derive it from signals_core.Source"),
        (
            (
                "@define\nclass Good(Source):\n    uri: str\n    def read(self, request): ...\n"
                "Bad = Good('secret')"
            ),
            "an instance of Good is registered, not the class",
            "register Good itself",
        ),
        (
            (
                "@define\nclass Bad(Source):\n    uri: str\n    @define\n    class Query:\n"
                "        uri: str\n        max_connections: int\n    def read(self, request): ..."
            ),
            "Bad and its Query both have the field max_connections, uri",
            "rename one of the two",
        ),
        (
            (
                "@define\nclass Bad(Source):\n    class Query:\n        sql: str\n"
                "    def read(self, request): ..."
            ),
            "the class Bad.Query is not decorated",
            "put attrs.define",
        ),
        (
            "@define\nclass Bad(Source):\n    Query = 5\n    def read(self, request): ...",
            "the class Bad.Query is not decorated",
            "put attrs",
        ),
    ],
    ids="undecorated type default annotation kind number instance twice query query-number".split(),
)
def test_broken_classes(look, plugins, body, reason, remedy):
    """A class that cannot be a type is listed once, under the type's name; its siblings work."""
    plugins.module(
        "bad_one",
        IMPORTS.replace("    ", "")
        + body
        + """

@define
class Good(Source):
    def read(self, request): ...

@hookimpl
def signals_register_sources(register):
    register("bad", Bad)
    register("sibling", Good)
""",
    )
    plugins.metadata("bad-one", "bad_one = bad_one")
    found = look()
    ((name, provider, why, what),) = found["broken"]
    assert (name, provider) == ("bad", "bad-one 0.1")
    assert why.startswith(reason) and what.startswith(remedy)
    assert found["types"]["source sibling"] == "bad-one 0.1"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere_to_be_found:Class", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("good_one:Missing", "AttributeError: module 'good_one' has no attribute 'Missing'"),
        ("good_one", "AttributeError"),
        ("exits:Class", "SystemExit: 5"),
    ],
)
def test_lazy_classes(look, plugins, target, reason):
    """Text is imported when the type is needed; what fails then is told by name."""
    plugins.module("exits", "raise SystemExit(5)")
    plugins.add(
        "bad-one",
        f"""
    from signals_core import hookimpl
    @hookimpl
    def signals_register_sources(register):
        register("lazy", {target!r})
    """,
    )
    found = look()
    ((name, provider, why, what),) = found["broken"]
    assert (name, provider, what) == ("lazy", "bad-one 0.1", "reinstall or upgrade bad-one 0.1")
    assert why.startswith(f"{target} of bad-one 0.1 cannot be imported: {reason}")
    assert found["only_when_needed"] == 1


def test_lazy_classes_are_imported_late(plugins):
    """Discovery imports no class that is registered as text; loading does, once."""
    plugins.module("heavy", GOOD)
    plugins.add(
        "lazy-one",
        """
    from signals_core import hookimpl
    @hookimpl
    def signals_register_sources(register):
        register("lazy", "heavy:Answers")
    """,
    )
    assert plugins.run("""
        from signals_core.registry import Registry
        registry = Registry.discover()
        early = "heavy" in sys.modules
        cls = registry.load("source", "lazy")
        print(json.dumps([early, cls.__name__, registry.load("source", "lazy") is cls]))
    """) == [False, "Answers", True]


@pytest.mark.parametrize("kind", ["sources", "sinks"])
def test_a_taken_name(look, plugins, kind):
    """A name that is taken stays with who came first: our own, then by name of distribution."""
    taken = "answers" if kind == "sources" else "console"
    base, task = ("Source", "read") if kind == "sources" else ("Sink", "write")
    plugins.add(
        "late-one",
        f"""
    {IMPORTS.strip()}
    @define
    class Late({base}):
        def {task}(self, given): ...
    @hookimpl
    def signals_register_{kind}(register):
        register({taken!r}, Late)
        register("late", Late)
    """.replace("    from signals_core", "from signals_core").replace("\n    ", "\n"),
    )
    found = look()
    ((name, provider, why, what),) = found["broken"]
    assert (name, provider) == ("late_one", "late-one 0.1")
    assert f"type {taken!r} is already brought by" in why and what.startswith(
        "uninstall one of the two"
    )
    assert found["console"] == "Console" and f"{base.lower()} late" in found["types"]


@pytest.mark.parametrize("name", ["''", "None", "Answers"])
def test_names_that_are_none(look, plugins, name):
    """A type whose name is no text is refused, and listing types still works."""
    plugins.add(
        "bad-one",
        f"""
    from good_one import Answers
    from signals_core import hookimpl
    @hookimpl
    def signals_register_sources(register):
        register({name}, "answers")
    """,
    )
    ((_, provider, why, what),) = look()["broken"]
    assert provider == "bad-one 0.1" and "is no name for a source type" in why
    assert what == 'register("name", Class)'


def test_one_plugin_that_fails_half_way(look, plugins):
    """What a plugin registered before its hook failed, and in its other hooks, is there."""
    plugins.add(
        "half-one",
        """
    from good_one import Answers, Nowhere
    from signals_core import hookimpl
    @hookimpl
    def signals_register_sources(register):
        register("half", Answers)
        raise ValueError("no more")
    @hookimpl
    def signals_register_sinks(register):
        register("half", Nowhere)
    """,
    )
    found = look()
    assert {"source half", "sink half"} <= set(found["types"]) and len(found["broken"]) == 1


def test_a_distribution_twice_on_the_path(plugins, tmp_path):
    """Of a distribution that is there twice the first on the path counts, as for imports."""
    older = type(plugins)(tmp_path / "older")
    older.add("good_one", "import nowhere_to_be_found", version="0.0.9")
    older.metadata("Good.One", "another = missing_module", version="0.0.8")
    plugins.add("good-one", GOOD)
    found = plugins.run(
        "sys.path.append(" + repr(str(older.path)) + ")\n" + LOOK.replace("\n    ", "\n")
    )
    assert found["broken"] == [] and found["types"] == GOOD_TYPES


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[signals]\nno equals sign\n"),
        ("entry_points.txt", b"[signals]\nx = \xff\n"),
        ("METADATA", None),
    ],
    ids=["syntax", "encoding", "missing"],
)
def test_metadata_that_cannot_be_read(look, plugins, file, content):
    """A distribution whose metadata is damaged does not take the others down."""
    folder = plugins.metadata("bad-one", "x = good_one")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    (broken,) = look()["broken"]
    assert broken[0] == "bad_one-0.1.dist-info" and broken[3] == "reinstall or remove it"
    assert broken[2].startswith("its metadata cannot be read: ")


def test_an_entry_point_that_is_no_module(look, plugins):
    """An entry point may name any object; one that has no hooks is listed."""
    plugins.module("odd", "number = 5\nnothing = None\n")
    plugins.metadata("bad-one", "five = odd:number\nnone = odd:nothing\nmissing = odd:missing")
    assert sorted(each[0] for each in look()["broken"]) == ["five", "missing", "none"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("source", "answer", "no plugin brings the source type 'answer' (did you mean answers?)"),
        (
            "schedule",
            "xyz",
            "no plugin brings the schedule type 'xyz' (known: cron, interval, never)",
        ),
        ("sink", "answers", "no plugin brings the sink type 'answers' (known: "),
    ],
)
def test_unknown_types(plugins, kind, name, message):
    """A type that nothing brings is an error with the nearest name, or all of them."""
    plugins.add("good-one", GOOD)
    found = plugins.run(f"""
        from signals_core.errors import PluginError
        from signals_core.registry import Registry
        try:
            Registry.discover().load({kind!r}, {name!r})
        except PluginError as error:
            print(json.dumps(str(error)))
    """)
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("source", "postgres", "signals-postgres"),
        ("source", "mongodb", "signals-mongo"),
        ("sink", "http", "signals-vector"),
    ],
)
def test_known_types_that_are_not_installed(kind, name, package):
    """A published type that is not installed names the package that brings it."""
    from signals_core.errors import PluginError
    from signals_core.registry import Registry

    with pytest.raises(PluginError, match=rf"{name}' is not installed \(pip install {package}\)"):
        Registry().load(kind, name)
