"""The source `helpdesk`: counts of tickets, page by page."""

from collections.abc import Iterator
from urllib.parse import urlencode

from attrs import define
from requests import RequestException, get
from signals_core import Request, RetryAfter, Row, Secret, Source, Unavailable


@define
class HelpDesk(Source):
    """Counts the tickets of a help desk that were opened in a window.

    The help desk does the counting; it is asked for exactly the window. Whatever it answers but
    counts, the address, the token or the help desk itself is not in order: the windows are read
    when it is.
    """

    uri: str
    """Where its API is, as in https://desk.example.com/api."""

    token: Secret
    """What it knows us by."""

    @define
    class Query:
        """What a collector asks for."""

        by: str
        """The property by which to count, as in state or queue."""

    def parameters(self, query: Query) -> set[str]:
        return {"window_start", "window_end"}

    def read(self, request: Request) -> Iterator[Row]:
        """Yield a row for each value of the property. Each page is a snapshot of its own."""
        assert request.window
        window = {"from": request.window.start.isoformat(), "to": request.window.end.isoformat()}
        page = f"counts?{urlencode({'by': request.query.by, **window})}"
        headers = {"Authorization": f"Bearer {self.token.reveal()}"}
        while page:
            request.check()
            try:  # a read that is cancelled waits no longer than five seconds
                answer = get(f"{self.uri}/{page}", headers=headers, timeout=min(5, request.timeout))
                answer.raise_for_status()
            except RequestException as error:
                request.check()
                pause = error.response is not None and error.response.headers.get("Retry-After")
                raise RetryAfter(float(pause)) if pause else Unavailable(str(error)) from error
            yield from answer.json()["counts"]
            page = answer.json()["next"]
