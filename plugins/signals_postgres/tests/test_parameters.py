"""The scanner that finds `:name` in SQL."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Secret
from signals_postgres.parameters import translate
from signals_postgres.source import Postgres

NAMES = st.sampled_from(["window_start", "window_end", "window_start_local", "window_end_local"])
TYPE_OF = {
    "window_start": "timestamptz",
    "window_end": "timestamptz",
    "window_start_local": "timestamp",
    "window_end_local": "timestamp",
}

# What looks like a parameter and is none. Each piece ends where the next may begin.
LOOKALIKES = st.one_of(
    st.text("ab:'\"$\n-/*", max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text("ab:'\"$\n-/*", max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.sampled_from(
        [
            r"E'\':window_start'",
            r"e'\\'",
            "E'a'\n 'b\\':window_end'",
            "E'a' -- it's\n  'b\\':window_end'",
            "$$ ':window_start $x$ $$",
            "$tag$ $$ :window_start $other$ $tag$",
            "-- :window_start '\n",
            "/* :window_start ' */",
            "/* /* :window_end */ ' :window_start */",
            "x::date",
            "x::timestamptz",
            "f(a:=1)",
            "f(a:= 2)",
            "a[1:2]",
            "a[1 : n]",
            "name$1",
            "1.5e3",
            "U&'\\0061:window_start'",
            "'a'':window_start'",
        ]
    ),
)


@given(st.lists(st.one_of(LOOKALIKES, NAMES.map(lambda name: (name,))), min_size=1))
def test_only_parameters_are_replaced(pieces: list[str | tuple[str]]) -> None:
    """Whatever surrounds them, parameters become `$n` with a cast and all else stays as it is."""
    names: list[str] = []
    expected = []
    for piece in pieces:
        if isinstance(piece, str):
            expected.append(piece)
            continue
        if piece[0] not in names:
            names.append(piece[0])
        expected.append(f"${names.index(piece[0]) + 1}::{TYPE_OF[piece[0]]}")
    sql = " , ".join(piece if isinstance(piece, str) else f":{piece[0]}" for piece in pieces)

    statement = translate("SELECT " + sql)

    assert statement.text == "SELECT " + " , ".join(expected)
    assert statement.names == tuple(names)


@given(st.text("aE:$'\"[]-/*\n\\ 1;_\0é"))
def test_any_text_is_translated_or_refused(sql: str) -> None:
    """No text, however torn, does anything but translate or raise ValueError."""
    with suppress(ValueError):
        assert translate(sql).text == sql


@given(st.lists(st.one_of(NAMES.map(":{}".format), st.sampled_from(["x", "\n", "é"])), max_size=9))
def test_a_position_is_told_in_the_query_as_written(pieces: list[str]) -> None:
    """A position that the server counts in its text is told as line and column of ours."""
    head = "SELECT " + " ".join(pieces) + " "
    statement = translate(head + "wrong")
    line = head.count("\n") + 1
    column = len(head) - (head.rfind("\n") + 1) + 1

    told = statement.place(statement.text.index("wrong") + 1)

    assert told == f"line {line}, column {column}"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "the query is empty (write one SELECT)"),
        (" ; -- nothing\n /* at all */", "the query is empty (write one SELECT)"),
        (
            "SELECT\n :window_begin",
            (
                "line 2 of the query: :window_begin is no parameter "
                "(a query may use :window_start, :window_end, :window_start_local, "
                ":window_end_local; any other colon takes a space after it)"
            ),
        ),
        (
            "SELECT tags[a:b] FROM t",
            "line 1 of the query: :b is no parameter (write an array slice with spaces: [a : b])",
        ),
        (
            "SELECT tags[1:n]",
            "line 1 of the query: :n is no parameter (write an array slice with spaces: [a : n])",
        ),
        (
            "SELECT 1 WHERE t > $1",
            (
                "line 1 of the query: $1 is not filled in (a query may use :window_start, "
                ":window_end, :window_start_local, :window_end_local)"
            ),
        ),
        ("SELECT 'a", "line 1 of the query: the quote ' is never closed (close it)"),
        (r"SELECT E'a\'", "line 1 of the query: the quote E' is never closed (close it)"),
        ('SELECT\n"a', 'line 2 of the query: the quote " is never closed (close it)'),
        ("SELECT $a$ $b$", "line 1 of the query: the quote $a$ is never closed (close it)"),
        ("/* /* */", "line 1 of the query: the comment /* is never closed (close it with */)"),
        ("SELECT 1 \0", "the query holds a NUL character"),
    ],
)
def test_a_query_that_cannot_be_right_is_refused_offline(sql: str, message: str) -> None:
    """Each mistake that needs no server to see is one line: where, what, and the remedy."""
    source = Postgres(Secret("postgresql://nowhere.invalid/db"))
    with pytest.raises(ValueError) as caught:
        source.parameters(Postgres.Query(sql))
    assert str(caught.value) == message


def test_the_names_a_query_uses_are_told() -> None:
    """`parameters` answers with the set of names, however often each is used."""
    query = Postgres.Query("SELECT :window_start, ':window_end', :window_start, :window_end_local")
    source = Postgres(Secret("postgresql://nowhere.invalid/db"))
    assert source.parameters(query) == {"window_start", "window_end_local"}
