"""The promises of the plugin API, each with why it matters and how a breach is usually mended."""

from __future__ import annotations

from signals_core.testing.promise import Promise

CONFIGURATION = Promise(
    "configuration",
    "an instance is its configuration: written down as YAML and read again, it is the same.",
    "collectors whose configurations are equal share one connection, and what `config show` "
    "prints is what runs.",
    "declare every setting as a typed field and write no __init__; keep what is derived from it in "
    "field(init=False) and change no other field in __attrs_post_init__.",
    needs=("type",),
)
UNKNOWN_KEY = Promise(
    "unknown_key",
    "a key that the class does not declare is refused, with the nearest name that it does.",
    "a typing mistake that is passed over runs with a default that nobody chose.",
    "decorate the class and its Query with attrs.define, and name each key as a field; take no "
    "dict of further settings.",
    needs=("type",),
)
BUILT_WITHOUT_IO = Promise(
    "built_without_io",
    "building an instance does no input or output and starts no thread.",
    "`config validate` builds every plugin, where there may be no network, no file and no right.",
    "move it from __attrs_post_init__, a default or a validator into open().",
)
SECRETS = Promise(
    "secrets",
    "a secret is in no repr, no error, no log and no output.",
    "these go to terminals, tickets and log stores, which more people read than may know it.",
    "declare the field as Secret and call reveal() only where the driver takes it; raise errors "
    "with the address, not with what was sent.",
)
OPEN_AND_CLOSE = Promise(
    "open_and_close",
    "close() may be called twice, before open(), and from any thread.",
    "the runner closes what failed to open, and stops from another thread than it ran on.",
    "let close() take what there is and leave None in its place: "
    "`link, self._link = self._link, None`.",
)
REOPEN = Promise(
    "reopen",
    "after close(), open() connects again and all works as before.",
    "the runner closes and reopens after a failure: what cannot be reopened stays broken until "
    "somebody restarts the process.",
    "make everything that close() ends anew in open(), not in the constructor.",
)
UNAVAILABLE = Promise(
    "unavailable",
    "what cannot be reached raises Unavailable, from open() or from the first use.",
    "an outage is waited for; any other exception from a read counts as a failed window.",
    "catch the driver's connection errors where it is called and raise Unavailable from them.",
    needs=("unreachable",),
)
RECOVERS = Promise(
    "recovers",
    "it says Unavailable while the other side is down, and works again once that is back.",
    "outages end by themselves, and so must ours.",
    "raise Unavailable for a lost connection (the runner then closes and reopens), and let open() "
    "connect anew.",
    needs=("down",),
)

READS = Promise(
    "reads",
    "read() yields rows: mappings from column names to values.",
    "each row becomes metrics by the names of its columns.",
    "yield a dict a row, with text as keys; give the suite a query and a window that have rows.",
)
STREAMS = Promise(
    "streams",
    "rows arrive before the last is read.",
    "a query that returns raw data is stopped at max_rows; a source that first collects all rows "
    "fills the memory of the runner and of all collectors in it.",
    "yield rows as the driver hands them over; use its streaming or server-side cursor, and ask "
    "for one page after the other.",
    needs=("endless",),
)
GIVEN_UP = Promise(
    "given_up",
    "a read that is given up between two rows leaves nothing behind: the next one works.",
    "the runner stops at max_rows, at a row that cannot be right, and when it ends.",
    "let go of cursors and connections in a `with` or `finally` around the yield.",
    needs=("endless",),
)
CANCEL = Promise(
    "cancel",
    "a read that waits for its source ends soon after it is cancelled, and the next one works.",
    "otherwise the query goes on in the database, and stopping the runner takes as long as it.",
    "hold request.on_cancel(call) around what blocks, with a call that aborts it, and call "
    "request.check() where that makes it fail; sleep with request.wait(seconds), never with "
    "time.sleep().",
    needs=("slow",),
)
CANCEL_BETWEEN_ROWS = Promise(
    "cancel_between_rows",
    "a read that is cancelled while rows come ends soon.",
    "a long result holds its connection slot and keeps the runner from stopping.",
    "call request.check() before each page or every so many rows.",
    needs=("endless",),
)
TIMEOUT = Promise(
    "timeout",
    "a read ends when its timeout is over.",
    "a query that never ends keeps its connection, and its collector never runs again.",
    "give request.timeout, the seconds that are left, to the driver or the server, and call "
    "request.check() or request.wait().",
    needs=("slow",),
)
SNAPSHOT = Promise(
    "snapshot",
    "all rows of a read are of one snapshot.",
    "a number that is half before and half after a change was never true.",
    "read in one transaction that the source isolates (or leave this out, and say in the docstring "
    "of read() how consistent it is).",
    needs=("many", "change"),
)
INDEPENDENT = Promise(
    "independent",
    "reads share no state: one that begins while another goes on changes neither.",
    "collectors with equal connections share one instance, and their rows must not mix.",
    "keep what belongs to a read in local variables of read(), not on self.",
)
THREADS = Promise(
    "threads",
    "as many reads as max_connections says run at once, each in its own thread, and return the "
    "same rows.",
    "the runner reads on as many threads as there are connections.",
    "take a connection per read, from a pool of max_connections; guard what is shared by a lock.",
)
WATERMARK = Promise(
    "watermark",
    "watermark() is None or an aware instant that is not in the future and does not go back.",
    "a window is recorded as read once the watermark has passed it: one in the future loses what "
    "comes late, for good.",
    "return the source's own clock or the time of what it has replicated, in UTC, and None where "
    "it has no say.",
)
PARAMETERS = Promise(
    "parameters",
    "parameters(query) names the window's bounds that the query uses, all of them and no others.",
    "a query that claims its window and ignores it returns every day the numbers of all days.",
    "derive the names from the query's text, as read() does when it binds them; give the suite "
    "two windows whose rows differ (window, other_window).",
)
PURE_PARAMETERS = Promise(
    "pure_parameters",
    "parameters(query) is pure: the same answer every time, before open(), without input or "
    "output.",
    "`config validate` asks it for every collector, offline.",
    "only look at the query; what must ask the source belongs into check().",
)
WRONG_QUERY = Promise(
    "wrong_query",
    "parameters(query) raises ValueError for a query that cannot be right.",
    "that is how `config validate` finds it, with file and line, before it runs.",
    "parse what can be parsed offline, and say in the ValueError what would be right.",
    needs=("wrong",),
)
CHECK = Promise(
    "check",
    "check(query) returns the columns that read() yields, or None where they cannot be known.",
    "`config check` compares them with the metrics: a wrong answer hides a mistake or invents one.",
    "ask the source to describe the query; return None rather than a guess.",
)
CHECK_READS_NOTHING = Promise(
    "check_reads_nothing",
    "check(query) reads no data: it is quick for a query that is slow.",
    "`config check` runs on every deployment and must not load the source.",
    "prepare, describe or explain the query; do not run it.",
    needs=("slow",),
)
FAILING_QUERY = Promise(
    "failing_query",
    "check(query) raises for a query that would fail.",
    "`config check` is there to find it before the first run does.",
    "have the source plan the query, and let its error through.",
    needs=("failing",),
)

WRITES = Promise(
    "writes",
    "what write() returned for is with the receiver, metric by metric as it was sent.",
    "a batch that was acknowledged is forgotten by the runner: what is missing is lost.",
    "send every metric of the batch; send batch.json_lines() or batch.encoded, which are exact "
    "already.",
    needs=("received",),
)
BIG_BATCH = Promise(
    "big_batch",
    "a batch of as many metrics as batch_metrics and batch_bytes allow is taken whole.",
    "after an outage every batch is that big.",
    "lower the defaults of batch_metrics and batch_bytes to what the receiver takes at once.",
    needs=("received",),
)
VALUES = Promise(
    "values",
    "every number arrives exactly, as do tags in any script, and null, which retracts a metric.",
    "numbers are added up: a sum that passed through a float is wrong by cents, and a retraction "
    "that becomes 0 or nothing leaves a wrong number standing.",
    "send the encoded form as it is; where you decode, keep int and Decimal, and treat the value "
    "None on its own.",
    needs=("received",),
)
ORDER = Promise(
    "order",
    "metrics reach the receiver in the order of the batches and within them.",
    "a receiver that keeps the last of each uuid must see the newest version last.",
    "write in write(), one after the other; neither sort nor spread over threads.",
    needs=("received",),
)
NEWEST_STAYS = Promise(
    "newest_stays",
    "of two versions of a metric the receiver ends with the newer one, and a batch that comes "
    "again does no harm.",
    "delivery is at least once: after a crash the same batch is written again.",
    "let the receiver keep the greatest timestamp of each uuid, or append all and let readers "
    "choose.",
    needs=("received",),
)
DURABLE = Promise(
    "durable",
    "write() returns only when all is durably accepted: a kill on the next line loses nothing.",
    "the runner forgets a batch that was written; what only waits in a buffer then is lost.",
    "flush and wait for the receiver's acknowledgement (commit, fsync, a 2xx) before returning; "
    "no queue, no thread of your own.",
    needs=("received",),
)
KILLED = Promise(
    "killed",
    "a kill in the middle of write() leaves nothing that a second write() of the batch cannot "
    "complete.",
    "machines stop at any line; the batch is then written again.",
    "write in one transaction, or cut off the torn rest before appending.",
    needs=("received",),
)
REJECTS = Promise(
    "rejects",
    "content that the receiver will never take raises Rejected; indices, where given, name "
    "exactly the guilty, and the rest is taken without them.",
    "what is refused silently is lost, and what is retried for ever stops all that comes after.",
    "raise Rejected(reason, indices) for a refusal of the content; without indices where the "
    "receiver does not say which.",
    needs=("received", "poison"),
)
RETRY_AFTER = Promise(
    "retry_after",
    "a receiver that asks for a pause is given one: RetryAfter with its seconds.",
    "who is asked to slow down and does not is soon shut out.",
    "turn the receiver's own answer (429, Retry-After) into RetryAfter(seconds).",
    needs=("received", "busy"),
)
CHECK_WRITES_NOTHING = Promise(
    "check_writes_nothing",
    "check() connects and writes nothing.",
    "it runs on every deployment: what it writes would be a number that nobody measured.",
    "authenticate and ask for the rights; send no metric, not even a test one.",
    needs=("received",),
)

LATER = Promise(
    "later",
    "next_after(moment) is strictly later than moment.",
    "a tick at the same moment runs the collector again at once, and again, without end.",
    "compute the first tick after the moment: a moment that is itself a tick gives the next one.",
)
AWARE = Promise(
    "aware",
    "next_after(moment) is aware, in moment's own zone.",
    "a time without zone means another instant on another machine.",
    "carry moment.tzinfo through: `.astimezone(moment.tzinfo)`; never datetime.now() or utcnow().",
)
PURE = Promise(
    "pure",
    "next_after() is pure: it answers by the moment alone, from any thread, in any order.",
    "the runner asks again after a restart, a change of the clock and a reload, and for the past.",
    "keep nothing on self, look at no clock and no random number.",
)
NO_TICK_SKIPPED = Promise(
    "no_tick_skipped",
    "next_after(moment) is the first tick: asked just before it, the answer is the same.",
    "a tick that depends on where one asks from is missed after a restart.",
    "align ticks to a fixed origin, not to the moment that was passed in.",
)
MONOTONE = Promise(
    "monotone",
    "a later moment has no earlier tick.",
    "time would run backwards for the runner.",
    "compute in UTC, or with the offset of the tick and not of the moment.",
)
DAYLIGHT_SAVING = Promise(
    "daylight_saving",
    "all that holds where clocks go forward and where they go back.",
    "twice a year a collector would run twice, or not at all.",
    "add and compare in UTC; in a zone, adding a timedelta moves the clock on the wall, and "
    "`fold` tells the two passes of an hour apart.",
)

PLUGIN_PROMISES = (CONFIGURATION, UNKNOWN_KEY, BUILT_WITHOUT_IO, SECRETS, OPEN_AND_CLOSE)
SOURCE_PROMISES = (
    *PLUGIN_PROMISES,
    REOPEN,
    UNAVAILABLE,
    RECOVERS,
    READS,
    STREAMS,
    GIVEN_UP,
    CANCEL,
    CANCEL_BETWEEN_ROWS,
    TIMEOUT,
    SNAPSHOT,
    INDEPENDENT,
    THREADS,
    WATERMARK,
    PARAMETERS,
    PURE_PARAMETERS,
    WRONG_QUERY,
    CHECK,
    CHECK_READS_NOTHING,
    FAILING_QUERY,
)
SINK_PROMISES = (
    *PLUGIN_PROMISES,
    REOPEN,
    UNAVAILABLE,
    RECOVERS,
    WRITES,
    BIG_BATCH,
    VALUES,
    ORDER,
    NEWEST_STAYS,
    DURABLE,
    KILLED,
    REJECTS,
    RETRY_AFTER,
    CHECK_WRITES_NOTHING,
)
SCHEDULE_PROMISES = (
    *PLUGIN_PROMISES,
    LATER,
    AWARE,
    PURE,
    NO_TICK_SKIPPED,
    MONOTONE,
    DAYLIGHT_SAVING,
)
PROMISES = {
    "source": SOURCE_PROMISES,
    "sink": SINK_PROMISES,
    "schedule": SCHEDULE_PROMISES,
}
"""What each suite tests, in the order in which it does."""
