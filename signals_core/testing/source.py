"""The conformance suite of a source."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from signals_core import Cancelled, Request, Row, Source, Window
from signals_core.testing import promises
from signals_core.testing.doings import doings
from signals_core.testing.promise import Promise, Seen, described, keeps
from signals_core.testing.suite import ConnectedSuite

_NAMES = {"window_start", "window_end", "window_start_local", "window_end_local"}
_AHEAD = timedelta(minutes=1)  # as far as the clocks of two machines may be apart


class SourceSuite(ConnectedSuite):
    """Tests a source against every promise of the plugin API.

    Give it in a subclass, each as a value, a method, or a fixture of the class:

    - `type`, the registered name, and `source`, an instance, open or not
    - `query`, an instance of its `Query`, where it has one: one that has rows in `window`, and
      others in `other_window` if it uses the window
    - `endless`, a query of more rows than can be read in a minute
    - `slow`, a query whose first row takes minutes, or for which the source asks to wait that long
    - `many`, a query of thousands of rows, and `change`, a function that changes them all
    - `wrong`, a query that cannot be right, and `failing`, one that the source would refuse
    - `unreachable`, an instance that leads nowhere; `down`, a function that returns a context in
      which the source is down

    A promise that lacks what it needs is not tested, and the summary says so.
    """

    source: Any = None
    query: Any = None
    window: ClassVar[Window] = Window(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    )
    other_window: ClassVar[Window] = Window(
        datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC)
    )
    endless: Any = None
    slow: Any = None
    many: Any = None
    change: Any = None
    wrong: Any = None
    failing: Any = None

    kit_promises: ClassVar[tuple[Promise, ...]] = promises.SOURCE_PROMISES
    kit_subject: ClassVar[str] = "source"

    @keeps(promises.READS)
    def test_reads(self) -> None:
        """read() yields mappings from column names to values."""
        rows = self._rows(self.opened())
        if not rows:
            raise Seen("the query had no rows")
        for row in rows:
            if not isinstance(row, Mapping):
                raise Seen(f"a row is a {type(row).__name__}")
            names: list[Any] = list(row)
            if odd := [name for name in names if not isinstance(name, str)]:
                raise Seen(f"a column is named {odd[0]!r}")

    @keeps(promises.STREAMS)
    def test_streams(self) -> None:
        """The first rows of an endless result arrive soon."""
        source, request = self.opened(), self._request_of(self.given("endless"), timeout=600)

        def read() -> None:
            with closing(_generator(source, request)) as rows:
                next(islice(rows, 9, None))

        call = self.begin(read, "a read of ten rows")
        if not call.ends_within(self.patience):
            request.cancel()
            raise Seen(f"of an endless result no ten rows came within {self.patience:g} s")
        call.result(0)

    @keeps(promises.GIVEN_UP)
    def test_given_up(self) -> None:
        """After a read that was given up between two rows the next one works, many times over."""
        source, request = self.opened(), self._request_of(self.given("endless"), timeout=600)

        def give_up() -> None:
            for _ in range(source.max_connections + 2):
                with closing(_generator(source, request)) as rows:
                    next(rows)

        call = self.begin(give_up, "giving up a read")
        if not call.ends_within(self.patience):
            request.cancel()  # whether a row comes at all is what `streams` tests
            return
        call.result(0)
        self.use(source)

    @keeps(promises.CANCEL)
    def test_cancel(self) -> None:
        """A read that waits for its source ends soon after it is cancelled."""
        source, request = self.opened(), self._request_of(self.given("slow"), timeout=600)
        call = self.begin(lambda: next(_generator(source, request), None), "a cancelled read")
        if call.ends_within(self.patience / 10):
            raise Seen("`slow` is not slow: it ended at once") from call.error(0)
        request.cancel("the kit cancelled it")
        self._expect_cancelled(call.error(self.patience))
        self.use(source)

    @keeps(promises.CANCEL_BETWEEN_ROWS)
    def test_cancel_between_rows(self) -> None:
        """A read that is cancelled while rows come ends soon."""
        source, request = self.opened(), self._request_of(self.given("endless"), timeout=600)
        started = threading.Event()

        def read() -> None:
            for _ in _generator(source, request):
                started.set()

        call = self.begin(read, "a cancelled read")
        if not started.wait(self.patience):
            request.cancel()  # whether a row comes at all is what `streams` tests
            return
        request.cancel("the kit cancelled it")
        self._expect_cancelled(call.error(self.patience))
        self.use(source)

    @keeps(promises.TIMEOUT)
    def test_timeout(self) -> None:
        """A read ends when its timeout is over."""
        source, seconds = self.opened(), self.patience / 10
        request = self._request_of(self.given("slow"), timeout=seconds)
        what = f"a read with a timeout of {seconds:g} s"
        call = self.begin(lambda: list(_generator(source, request)), what)
        try:
            error = call.error(seconds + self.patience)
        except Seen:
            request.cancel()
            raise
        if error is None:
            raise Seen("the read ended as if nothing had happened")
        self.use(source)

    @keeps(promises.SNAPSHOT)
    def test_snapshot(self) -> None:
        """All rows of a read are of one snapshot, whatever changes meanwhile."""
        source, many = self.opened(), self.given("many")
        change = self.given("change")
        before = _multiset(self._rows(source, many))

        def read() -> list[Row]:
            with closing(_generator(source, self._request_of(many))) as rows:
                first = list(islice(rows, 1))
                change()
                return [*first, *rows]

        meanwhile = self.soon(read, "a read during which `change` was called")
        after = _multiset(self._rows(source, many))
        if after == before:
            raise Seen("`change` changed none of the rows of `many`")
        if _multiset(meanwhile) not in (before, after):
            old = sum((_multiset(meanwhile) & before).values())
            raise Seen(f"of {len(meanwhile)} rows {old} were from before a change, others not")

    @keeps(promises.INDEPENDENT)
    def test_independent(self) -> None:
        """A read that begins while another goes on changes neither."""
        source = self.opened(self.fresh(max_connections=2))
        one, other = self._rows(source), self._rows(source, window=self.other_window)
        query = self.given("query")

        def read() -> tuple[list[Row], list[Row]]:
            with closing(_generator(source, self._request_of(query))) as rows:
                first = list(islice(rows, 1))
                asked = self._request_of(query, window=self.other_window)
                inner = list(_generator(source, asked))
                return [*first, *rows], inner

        outer, inner = self.soon(read, "one read within another")
        for name, seen, expected in (("first", outer, one), ("second", inner, other)):
            if _multiset(seen) != _multiset(expected):
                raise Seen(
                    f"the {name} of two overlapping reads had {len(seen)} rows that are not the "
                    f"{len(expected)} it has alone"
                )

    @keeps(promises.THREADS)
    def test_threads(self) -> None:
        """Reads in several threads at once return the same rows as one alone."""
        threads = 4
        source = self.opened(self.fresh(max_connections=threads))
        expected = _multiset(self._rows(source))
        together = threading.Barrier(threads)

        def read() -> Counter[str]:
            rows = _generator(source, self._request_of(self.given("query")))
            first = list(islice(rows, 1))
            together.wait(self.patience)
            return _multiset([*first, *rows])

        calls = [self.begin(read, "one of four reads at once") for _ in range(threads)]
        for call in calls:
            if (seen := call.result(2 * self.patience)) != expected:
                raise Seen(f"one of {threads} reads had other rows: {seen.total()}")

    @keeps(promises.WATERMARK)
    def test_watermark(self) -> None:
        """watermark() is None or aware, not in the future, and does not go back."""
        source = self.opened()
        marks = [self.soon(source.watermark, "watermark()") for _ in range(3)]
        now = datetime.now(UTC)
        for mark in marks:
            if mark is not None and (not isinstance(mark, datetime) or mark.tzinfo is None):
                raise Seen(f"watermark() is {mark!r}, which has no zone")
            if mark is not None and mark > now + _AHEAD:
                raise Seen(f"watermark() is {mark.isoformat()}, and it is {now.isoformat()}")
        aware = [mark for mark in marks if mark is not None]
        if len(aware) not in (0, len(marks)):
            raise Seen("watermark() was None at one time and an instant at another")
        if aware != sorted(aware):
            raise Seen(f"watermark() went back: {', '.join(map(str, aware))}")

    @keeps(promises.PARAMETERS)
    def test_parameters(self) -> None:
        """Whether two windows give different rows agrees with the names declared."""
        source, query = self.opened(), self.given("query")
        names = set(source.parameters(query))
        if unknown := names - _NAMES:
            raise Seen(f"parameters() names {', '.join(sorted(unknown))}, which is no bound")
        one = _multiset(self._rows(source))
        other = _multiset(self._rows(source, window=self.other_window))
        declared = ", ".join(sorted(names)) or "nothing"
        if names and one == other:
            raise Seen(f"parameters() names {declared}, and two windows have the same rows")
        if not names and one != other:
            raise Seen(f"parameters() names {declared}, and two windows have different rows")
        if not names and _multiset(self._rows(source, window=None)) != one:
            raise Seen(f"parameters() names {declared}, and without a window the rows differ")

    @keeps(promises.PURE_PARAMETERS)
    def test_pure_parameters(self) -> None:
        """parameters(query) gives the same answer every time, without input or output."""
        source, other, query = self.fresh(), self.fresh(), self.given("query")
        first = set(source.parameters(query))
        with doings() as seen:
            answers = [set(each.parameters(query)) for each in (source, source, other)]
        if seen:
            raise Seen(f"parameters() did: {'; '.join(seen)}")
        if any(answer != first for answer in answers):
            raise Seen(f"parameters() was {sorted(first)} and then {list(map(sorted, answers))}")

    @keeps(promises.WRONG_QUERY)
    def test_wrong_query(self) -> None:
        """parameters(query) raises ValueError for a query that cannot be right."""
        source, wrong = self.fresh(), self.given("wrong")
        error = self.raised_by(lambda: source.parameters(wrong), "parameters()")
        if not isinstance(error, ValueError):
            raise Seen(f"for `wrong` it raised {described(error) if error else 'nothing'}")

    @keeps(promises.CHECK)
    def test_check(self) -> None:
        """check(query) returns the columns that read() yields, or None."""
        source, query = self.opened(), self.given("query")
        columns = self.soon(lambda: source.check(query), "check()")
        rows = self._rows(source)
        if columns is None:
            return
        for row in rows:
            if not set(row) <= set(columns):
                strangers = ", ".join(sorted(set(row) - set(columns)))
                raise Seen(f"check() returned {list(columns)}, and a row has {strangers}")
        if rows and (missing := set(columns) - set().union(*rows)):
            raise Seen(f"check() returned {', '.join(sorted(missing))}, which no row has")

    @keeps(promises.CHECK_READS_NOTHING)
    def test_check_reads_nothing(self) -> None:
        """check(query) is quick for a query that is slow."""
        source, slow = self.opened(), self.given("slow")
        self.soon(lambda: source.check(slow), "check() of `slow`")

    @keeps(promises.FAILING_QUERY)
    def test_failing_query(self) -> None:
        """check(query) raises for a query that would fail."""
        source, failing = self.opened(), self.given("failing")
        error = self.raised_by(lambda: source.check(failing), "check()")
        if error is None:
            raise Seen("for `failing` it raised nothing")
        self.use(source)

    def kit_query(self) -> Any:
        """Return the query that is read where none is named."""
        return self.given("query")

    def use(self, plugin: Any) -> None:
        """Read the query once."""
        self._rows(plugin)

    def _rows(self, source: Source, query: Any = None, **request: Any) -> list[Row]:
        asked = self._request_of(query or self.given("query"), **request)
        rows: list[Row] = self.soon(lambda: list(_generator(source, asked)), "a read")
        return rows

    def _request_of(self, query: Any, **fields: Any) -> Request:
        asked: dict[str, Any] = {
            "window": self.window,
            "timeout": self.patience,
            "origin": "signals kit",
        }
        return Request("kit", query, **(asked | fields))

    def _expect_cancelled(self, error: BaseException | None) -> None:
        if error is None:
            raise Seen("the read ended as if it had been complete: what it had read would count")
        if not isinstance(error, Cancelled):
            raise Seen(f"the read ended with {described(error)} in place of Cancelled") from error


def _generator(source: Source, request: Request) -> Generator[Row, None, None]:
    """Read; what is no generator becomes one, so that it can be given up."""
    yield from source.read(request)


def _multiset(rows: Any) -> Counter[str]:
    """Return rows such that neither their order nor that of their columns matters."""
    return Counter(repr(sorted(dict(row).items())) for row in rows)
