"""Bounds and extended JSON on their way in, documents on their way out; no server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from bson import Decimal128, Int64, ObjectId, Timestamp, json_util
from bson.binary import UuidRepresentation
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Grain, Window
from signals_mongo.bson_values import bounds_of, flat, from_extended_json
from signals_mongo.failures import hosts_in
from signals_mongo.link import watermark_in
from signals_mongo.pipeline import PARAMETERS

EXTENDED_JSON = json_util.RELAXED_JSON_OPTIONS.with_options(
    uuid_representation=UuidRepresentation.STANDARD
)
DAY = Grain.parse("1d", "Europe/Paris").window(datetime(2026, 3, 29, 12, tzinfo=UTC))

instants = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


def test_bounds_are_dates_and_object_ids():
    """Bounds are aware dates, naive local dates, and ObjectIds made of their second."""
    bounds = bounds_of(DAY, set(PARAMETERS))
    assert bounds == {
        "window_start": datetime(2026, 3, 28, 23, tzinfo=UTC),
        "window_end": datetime(2026, 3, 29, 22, tzinfo=UTC),
        "window_start_local": datetime(2026, 3, 29),
        "window_end_local": datetime(2026, 3, 30),
        "window_start_oid": ObjectId("69c85d700000000000000000"),
        "window_end_oid": ObjectId("69c9a0e00000000000000000"),
    }


@given(instants, st.binary(min_size=8, max_size=8))
def test_an_object_id_is_in_the_window_of_its_second(moment, rest):
    """An ObjectId made in a second compares as that second does with both bounds."""
    window = Window(moment, moment + timedelta(hours=1))
    bounds = bounds_of(window, {"window_start_oid", "window_end_oid"})
    made = ObjectId(int(moment.timestamp()).to_bytes(4, "big") + rest)
    assert bounds["window_start_oid"] <= made < bounds["window_end_oid"]


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("window_start", datetime(2026, 1, 1, microsecond=500, tzinfo=UTC), "whole milliseconds"),
        ("window_start_local", datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), "milliseconds"),
        ("window_start_oid", datetime(2026, 1, 1, microsecond=5000, tzinfo=UTC), "whole seconds"),
        ("window_start_oid", datetime(1969, 1, 1, tzinfo=UTC), "1970 to 2106"),
        ("window_start_oid", datetime(2107, 1, 1, tzinfo=UTC), "1970 to 2106"),
    ],
)
def test_a_bound_is_never_rounded(name, start, message):
    """A bound that BSON cannot hold exactly is an error that says which bound it is."""
    with pytest.raises(ValueError, match=rf"^:{name} is .*{message}"):
        bounds_of(Window(start, start + timedelta(days=1)), {name})


bson_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | instants
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.decimals(allow_nan=False, places=2, min_value=-(10**9), max_value=10**9).map(Decimal128)
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(bson_values)
def test_extended_json_is_read_as_the_driver_writes_it(value):
    """A tree of extended JSON gives the values that the driver's own JSON was written from."""
    text = json_util.dumps(value, json_options=EXTENDED_JSON)
    assert from_extended_json(json.loads(text)) == value


def test_times_with_an_offset_are_the_instants_they_say():
    """A date of extended JSON is aware and in UTC, whatever offset it is written with."""
    found = from_extended_json({"$date": "2026-01-01T01:00:00+02:00"})
    assert found == datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize("broken", [{"$oid": "x"}, {"$date": "noon"}, {"$numberDecimal": 1.5}])
def test_malformed_extended_json_is_an_error_with_its_place(broken):
    """Extended JSON that means nothing is an error that says where it stands."""
    with pytest.raises(ValueError, match=r"^agg\[0\]\.\$match\.a is no extended JSON: "):
        from_extended_json([{"$match": {"a": broken}}])


def test_a_compound_key_gives_its_fields_as_columns():
    """The fields of a group key that is a document become columns; a missing one is missing."""
    assert flat({"_id": {"a": 1, "b": None}, "value": 2}) == {"a": 1, "b": None, "value": 2}
    assert flat({"_id": {}, "value": 2}) == {"value": 2}


def test_a_nested_key_is_left_for_the_core_to_refuse():
    """A group key that holds a document or an array is not taken apart."""
    document = {"_id": {"a": {"b": 1}}, "value": 2}
    assert flat(document) == document


def test_a_key_that_meets_a_column_is_an_error():
    """A field of the key never hides a column of the same name."""
    with pytest.raises(ValueError, match="'value' of the group key meets a column"):
        flat({"_id": {"value": 1}, "value": 2})


NOW, WRITTEN = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC)
OLD, NEW = {"ts": Timestamp(1, 1), "t": Int64(1)}, {"ts": Timestamp(2, 1), "t": Int64(1)}


def last_write(made, majority, date=WRITTEN):
    return {
        "opTime": made,
        "lastWriteDate": NOW,
        "majorityOpTime": majority,
        "majorityWriteDate": date,
    }


@pytest.mark.parametrize(
    ("hello", "watermark"),
    [
        ({}, NOW),
        ({"isWritablePrimary": True, "lastWrite": last_write(NEW, NEW)}, NOW),
        ({"isWritablePrimary": True, "lastWrite": last_write(NEW, OLD)}, WRITTEN),
        ({"isWritablePrimary": False, "lastWrite": last_write(NEW, NEW)}, WRITTEN),
        (
            {
                "isWritablePrimary": False,
                "lastWrite": last_write(NEW, NEW, NOW + timedelta(hours=1)),
            },
            NOW,
        ),
    ],
    ids=["standalone", "idle primary", "busy primary", "secondary", "clock set back"],
)
def test_the_watermark_is_the_last_majority_write_or_the_clock(hello, watermark):
    """Only a primary with nothing under way may go by its clock; nobody goes ahead of it."""
    assert watermark_in({"localTime": NOW, **hello}) == watermark


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://user:pass@a:1,b:2/shop?w=1", "a:1,b:2"),
        ("mongodb+srv://user:p%40ss@cluster", "cluster"),
        ("a:1", "a:1"),
    ],
)
def test_hosts_are_shown_without_the_user(uri, hosts):
    """What is shown of a URI is its hosts."""
    assert hosts_in(uri) == hosts


@given(st.text("ab1:/?#@%", min_size=1, max_size=8))
def test_a_password_is_never_taken_for_a_host(password):
    """A URI whose password is not encoded shows none of it, or is refused."""
    uri = f"mongodb://user:{password}@host:1/"
    if set(password) & set("/?#"):
        with pytest.raises(ValueError, match="percent-encode"):
            hosts_in(uri)
    else:
        assert hosts_in(uri) == "host:1"
