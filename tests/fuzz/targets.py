"""What is fuzzed: each takes any bytes at all, and raises nothing but what it promises.

A target does what users' text goes through, and checks what must hold of the outcome.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from uuid import uuid5

from parts.configured import a_registry
from signals_core import Grain, Metric, secret
from signals_core.builtin.parameters import parameters_of, without_end
from signals_core.config import load
from signals_core.config.dialect import with_references
from signals_core.config.nodes import Keys, Mark, Scalar, compose
from signals_core.duration import format_duration, parse_duration
from signals_core.metric import NAMESPACE, Batch, Identity
from signals_core.references import Malformed, Unresolved, anchored, expand
from signals_core.secret import Secret, mask
from signals_postgres.parameters import TYPES, translate

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
_REGISTRY = a_registry()
_MARK = Mark("f.yaml", _FOLDER, 1)
_ENVIRON = {"A": "a", "EMPTY": "", "TRICKY": '${A} }"'}


def _forget() -> None:
    """Begin as a process does: secrets are kept for as long as it lives, which is long here."""
    secret._known = secret._KnownSecrets()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def yaml(data: bytes) -> None:
    """A file of any content gives collectors and problems, each on a line of its own."""
    _forget()
    for name in ("signals.yaml", "f.yaml"):
        path = _FOLDER / name
        path.write_bytes(data)
        loaded = load([path], registry=_REGISTRY)
        path.unlink()
        for problem in loaded.problems:
            assert str(problem.file).endswith(name)
            assert len(str(problem).splitlines()) == 1
        assert all(each.collector.name for each in loaded.collectors)


def nodes(data: bytes) -> None:
    """Any bytes are composed to nodes that can be walked through."""
    problems = []
    for document in compose(data, "f.yaml", _FOLDER, problems):
        if isinstance(document, Keys):
            with_references(document, problems.append)
    assert all(str(each).startswith("f.yaml:") for each in problems)


def sql(data: bytes) -> None:
    """A query is translated, or refused; what stands in no parameter's place stays as it is."""
    text = _text(data)
    with suppress(ValueError):
        statement = translate(text)
        assert set(statement.names) <= TYPES.keys()
        assert len(set(statement.names)) == len(statement.names)
        assert statement.values(dict.fromkeys(TYPES, 1)) == [1] * len(statement.names)
        for position in (1, len(statement.text), len(statement.text) + 9):
            assert statement.place(position).startswith("line ")
        if not statement.names:
            assert statement.text == text
    with suppress(ValueError):
        assert parameters_of(text) <= TYPES.keys()
    assert text.startswith(without_end(text))


def references(data: bytes) -> None:
    """Text with references is expanded, or refused as what it is; what is brought in is text."""
    _forget()
    text = _text(data)
    with suppress(Malformed, Unresolved):
        expanded = expand(text, _ENVIRON)
        if "${" not in text:
            assert expanded == text
    once = anchored(text, Path("/x"))
    assert anchored(once, Path("/x")) == once
    problems = []
    keys = with_references(Keys({"a": Scalar(text, _MARK)}, _MARK), problems.append)
    node = keys.nodes["a"]
    if not node.refused:
        with suppress(Malformed, Unresolved):
            expand(node.text, _ENVIRON)
    with suppress(Malformed, Unresolved):
        assert "***" in repr(Secret(text))
    mask(text)


def times(data: bytes) -> None:
    """Text is a duration or a grain, or refused; both are written in a form that reads the same."""
    text = _text(data)
    with suppress(ValueError):
        duration = parse_duration(text)
        assert duration >= timedelta()
        assert parse_duration(format_duration(duration)) == duration
    with suppress(ValueError):
        grain = Grain.parse(text, "Europe/Paris")
        assert Grain.parse(grain.text) == Grain.parse(text)
        moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        with suppress(ValueError):  # the bucket leaves the calendar
            window = grain.window(moment)
            assert window.start <= moment < window.end


def wire(data: bytes) -> None:
    """A metric of any texts is one line, reads back as itself, and has the identity promised."""
    texts = [part.decode("utf-8", "replace") for part in data.split(b"\x1f")]
    name, collector, number, *rest = [*texts, "", "", ""][:9]
    tags = dict(zip(rest[::2], rest[1::2], strict=False))
    try:
        value = Decimal(number)
    except InvalidOperation:
        value = None
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=len(data))
    identity = Identity(collector, name, moment, moment).of(tags)
    assert identity == _identity(collector, name, moment, tags)
    metric = Metric(
        uuid=identity, name=name, value=value, type="SUM", tags=tags, timestamp=moment,
        grain_datetime=moment, collector=collector,
    )  # fmt: skip
    try:
        if value is not None and value.is_finite() and abs(value.adjusted()) > 5000:
            return  # digit by digit, that is a long line
        line = metric.encode()
    except ValueError:
        assert value is not None
        assert not value.is_finite()
        return
    assert len(line.splitlines()) == 1
    again = Metric.decode(line)
    assert again == metric
    assert again.encode() == line
    assert list(Batch([line, line])) == [metric, metric]


def _identity(collector, name, moment, tags):
    """Return the uuid by the words of the contract, step by step."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = str(since // timedelta(microseconds=1))
    pairs = sorted(tags.items(), key=lambda pair: pair[0].encode())
    parts = [
        "1",
        collector,
        name,
        microseconds,
        microseconds,
        *(text for pair in pairs for text in pair),
    ]
    return uuid5(NAMESPACE, "".join(f"{len(part.encode())}:{part}," for part in parts))


#: Each with what its texts are made of.
TARGETS = {
    yaml: """name: metric: {} [] - , \n type source config sinks grain window start version 1 ~
        sources defaults ${A} ${ {{getEnv "A"}} & * ! | > ' " # % --- 1d shop sql uri <<:""",
    nodes: """a: - \n { } [ ] , & * ! | > ' " # % @ ` --- ... <<: ? \t \\ ~ \ufeff \x85 \u2028
        !!str &a *a""",
    sql: """select ' '' " $ $a$ $$ E' -- /* */ :window_start :window_end_local :x :: := [ ] ; \\
        \n $1 @ ? (""",
    references: """${ } A :- file: $${ $ \\ {{ }} getEnv getEnvOrDefault " ` ${A} ${A:-b} -
        /dev/null \n ${file:/dev/null}""",
    times: "1 0 . 5 w d h m s ms mo q y 1d 1mo 1.5h 30s 999999999 - ٣ e",
    wire: """\x1f a " \\ \n \x00 é \u2028 1.10 -1e5 NaN 0 Infinity 1e400 \U0001f600 - {} ,""",
}


def pieces_of(target) -> list[str]:
    """Return what texts for a target are made of, line breaks included."""
    return [" ", "\n  ", *(word for word in re.split("[ ]+", TARGETS[target]) if word)]
