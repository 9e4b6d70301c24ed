"""The metric: its identity, its wire form, and batches of it.

On the wire a metric is one JSON object on one line. `Metric` is what a program looks at; the path
from rows to sinks moves the encoded lines and builds a `Metric` only when one is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha1
from itertools import chain
from math import isfinite
from typing import Literal, overload
from uuid import UUID

from attrs import field, frozen

from signals_core.window import iso

MetricType = Literal["COUNT", "SUM", "GAUGE"]
Number = int | float | Decimal

#: The namespace of every metric's `uuid`.
NAMESPACE = UUID("8ef76ff1-d25d-58a8-b8b4-eea4ad0cee34")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_quote = json.encoder.encode_basestring


@frozen(kw_only=True)
class Metric:
    """One data point on the wire. Times are aware, in UTC; `value` None retracts the metric."""

    uuid: UUID
    """Its identity: the same each time this number is read."""

    name: str
    """The name of the metric definition."""

    value: Number | None
    """The number, exact; None: it was there, and is not any more."""

    type: MetricType
    """COUNT, SUM or GAUGE."""

    tags: Mapping[str, str] = field(factory=dict)
    """The columns without value, and the configured tags."""

    timestamp: datetime
    """Its version: when the reading began. Per `uuid` the latest holds."""

    grain_datetime: datetime
    """Where the bucket begins; without a grain, the timestamp."""

    collector: str
    """The id of the collector."""

    grain: str | None = None
    """The length of the bucket, as in YAML."""

    timezone: str | None = None
    """The zone of the grain."""

    window_end: datetime | None = None
    """Where the window ends; None for what a snapshot collector reads."""

    def encode(self) -> bytes:
        """Return the wire form: one JSON object, without line break.

        Raises `ValueError` for a value that is not finite, which JSON cannot hold.
        """
        if self.value is not None and not is_finite(self.value):
            raise ValueError(f"the value of the metric {self.name!r} is {self.value}")
        uuid, value = str(self.uuid), "null" if self.value is None else number_text(self.value)
        return Envelope.of(self).line(uuid, value, tags_text(self.tags)).encode()

    @classmethod
    def decode(cls, line: bytes) -> Metric:
        """Read the wire form; a value that is no integer becomes a `Decimal`."""
        fields = json.loads(line, parse_float=Decimal, parse_int=_integer)
        known = {name: fields[name] for name in _WIRE_KEYS if name in fields}
        known["uuid"] = UUID(known["uuid"])
        for name in ("timestamp", "grain_datetime", "window_end"):
            if name in known:
                known[name] = datetime.fromisoformat(known[name])
        return cls(**known)


_WIRE_KEYS = tuple(Metric.__annotations__)


@frozen
class Envelope:
    """What all metrics of one definition share in one reading, encoded once.

    A line is the uuid, the value and the tags, between these pieces of text.
    """

    name: str
    type: str
    tail: str

    @classmethod
    def build(
        cls,
        *,
        name: str,
        type: MetricType,
        collector: str,
        timestamp: datetime,
        bucket_start: datetime | None = None,
        grain: str | None = None,
        timezone: str | None = None,
        window_end: datetime | None = None,
    ) -> Envelope:
        """Encode what is shared; without `bucket_start` the bucket is the timestamp itself."""
        version = version_text(timestamp)
        start = version if bucket_start is None else iso(bucket_start)
        rest = {"grain": grain, "timezone": timezone, "window_end": window_end and iso(window_end)}
        tail = (
            f',"timestamp":"{version}","grain_datetime":"{start}","collector":{_quote(collector)}'
        )
        tail += "".join(f',"{key}":{_quote(text)}' for key, text in rest.items() if text) + "}"
        return cls(f'","name":{_quote(name)},"value":', f',"type":"{type}","tags":{{', "}" + tail)

    @classmethod
    def of(cls, metric: Metric) -> Envelope:
        """Return the envelope of one metric."""
        same = metric.grain is None and metric.grain_datetime == metric.timestamp
        return cls.build(
            name=metric.name,
            type=metric.type,
            collector=metric.collector,
            timestamp=metric.timestamp,
            bucket_start=None if same else metric.grain_datetime,
            grain=metric.grain,
            timezone=metric.timezone,
            window_end=metric.window_end,
        )

    def line(self, uuid: str, value: str, tags: str) -> str:
        """Put one line together from a uuid, a value and tags that are JSON text already.

        `tags` are the members of an object, each followed by a comma.
        """
        return f'{{"uuid":"{uuid}{self.name}{value}{self.type}{tags[:-1]}{self.tail}'


class Batch(Sequence[Metric]):
    """Metrics in their wire form, decoded only when looked at.

    `encoded` holds one bytes object per metric. A sink is never given an empty batch.
    """

    __slots__ = ("_count", "_encoded", "_lines")

    def __init__(self, encoded: Iterable[bytes]) -> None:
        self._encoded: tuple[bytes, ...] | None = tuple(encoded)
        self._count: int | None = len(self._encoded)
        self._lines = b"".join(line + b"\n" for line in self._encoded)

    @classmethod
    def of_lines(cls, lines: bytes) -> Batch:
        """Take metrics that are JSON lines already, each with its line break."""
        batch = cls(())
        batch._lines, batch._encoded, batch._count = lines, None, None
        return batch

    @property
    def encoded(self) -> tuple[bytes, ...]:
        """The metrics one by one, each without line break."""
        if self._encoded is None:
            self._encoded = tuple(self._lines.split(b"\n")[:-1])
        return self._encoded

    @overload
    def __getitem__(self, index: int) -> Metric: ...
    @overload
    def __getitem__(self, index: slice) -> Batch: ...
    def __getitem__(self, index: int | slice) -> Metric | Batch:
        if isinstance(index, slice):
            return Batch(self.encoded[index])
        return Metric.decode(self.encoded[index])

    def __len__(self) -> int:
        if self._count is None:
            self._count = self._lines.count(b"\n")
        return self._count

    def json_lines(self) -> bytes:
        """Return the metrics as JSON lines, each with its line break."""
        return self._lines

    def json_array(self) -> bytes:
        """Return the metrics as one JSON array on one line."""
        # A batch may be large: it is copied as seldom as can be.
        separated = memoryview(self._lines.replace(b"\n", b","))
        return b"".join((b"[", separated[:-1], b"]"))

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} metrics>"


class Metrics(Sequence[Metric]):
    """All metrics of one reading, kept as a sequence of batches."""

    __slots__ = ("batches",)

    def __init__(self, batches: Iterable[Batch] = ()) -> None:
        self.batches = tuple(batches)

    @overload
    def __getitem__(self, index: int) -> Metric: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Metric]: ...
    def __getitem__(self, index: int | slice) -> Metric | Sequence[Metric]:
        encoded = [line for batch in self.batches for line in batch.encoded]
        return Batch(encoded)[index]

    def __iter__(self) -> Iterator[Metric]:
        return chain.from_iterable(self.batches)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __repr__(self) -> str:
        return f"<{len(self)} metrics>"


class Identity:
    """The `uuid` of a metric: UUIDv5 over netstrings of what makes it the same metric.

    That is the collector's id, the metric's name, the bucket's bounds in epoch microseconds and
    the tags, sorted by their UTF-8 bytes. What all metrics of one definition in one bucket share
    is hashed once; without a bucket `start` and `end` are both the reading's timestamp.
    """

    __slots__ = ("_prefix",)

    def __init__(self, collector: str, metric: str, start: datetime, end: datetime) -> None:
        parts = ("1", collector, metric, str(_microseconds(start)), str(_microseconds(end)))
        self._prefix = sha1(NAMESPACE.bytes, usedforsecurity=False)
        self._prefix.update(b"".join(map(netstring, parts)))

    def hash(self, tags: bytes) -> str:
        """Return the hash as 40 hexadecimal digits, given the netstrings of the sorted tags."""
        digest = self._prefix.copy()
        digest.update(tags)
        return digest.hexdigest()

    def of(self, tags: Mapping[str, str]) -> UUID:
        """Return the `uuid` of the metric with these tags."""
        pairs = b"".join(netstring(key) + netstring(tags[key]) for key in sorted(tags))
        return UUID(hex=self.hash(pairs)[:32], version=5)


#: The first digit of a UUID's clock sequence, whose two high bits are the variant.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def uuid_text(hash: str) -> str:
    """Write a hash as a UUID of version 5, as `str(UUID(hex=…, version=5))` would, but quicker."""
    variant = _VARIANT[hash[16]]
    return f"{hash[:8]}-{hash[8:12]}-5{hash[13:16]}-{variant}{hash[17:20]}-{hash[20:32]}"


def netstring(text: str) -> bytes:
    """Return `<length of the UTF-8 bytes>:<bytes>,`."""
    data = text.encode()
    return b"%d:%b," % (len(data), data)


def version_text(timestamp: datetime) -> str:
    """Write a timestamp with all six fractional digits, so that text order is version order."""
    moment = timestamp.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def number_text(value: Number) -> str:
    """Write a number: a `Decimal` digit by digit, never with an exponent, a float in short."""
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    try:
        return int.__repr__(value)
    except ValueError:  # more digits than Python converts at once
        return format(Decimal(value), "f")


def is_finite(value: Number) -> bool:
    """Whether a number is one that JSON can hold."""
    if isinstance(value, Decimal):  # math.isfinite would make a float of it, too large or not
        return value.is_finite()
    return isinstance(value, int) or isfinite(value)


def tags_text(tags: Mapping[str, str]) -> str:
    """Write tags as members of a JSON object, each followed by a comma.

    They are sorted by their UTF-8 bytes, which is code point order.
    """
    return "".join(f"{_quote(key)}:{_quote(tags[key])}," for key in sorted(tags))


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _integer(text: str) -> int | Decimal:
    if text == "-0":
        return Decimal(text)  # a `Decimal128` may be that, which no int is
    try:
        return int(text)
    except ValueError:
        return int(Decimal(text))
