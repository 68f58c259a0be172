"""A snapshot survives its encoding bit for bit, cannot be changed, and says what it does not know."""

import struct
import zlib
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from market.core.snapshot import (
    FORMAT,
    MAGIC,
    MarketSnapshot,
    RecommendationFrame,
    SnapshotFormatError,
    decode,
    encode,
)

NAN = np.nan
ARRAYS = (
    "values",
    "completed",
    "market_time",
    "price_received_at",
    "bid",
    "ask",
    "is_open",
    "opens_at",
    "closes_at",
    "bar_at",
)
ADVICE = (
    "codes",
    "confidence",
    "expected_return",
    "as_of",
    "completed",
    "completed_confidence",
    "completed_as_of",
    "hit_rate",
)


def snapshot(**changes):
    parts = {
        "version": 7,
        "as_of": datetime(2004, 1, 2, 21, 0, 0, 123456, tzinfo=UTC),
        "symbols": ("AAPL", "FB"),
        "instrument_ids": (1, 2),
        "fields": ("price", "rsi"),
        "values": np.array([[0.12345678, NAN], [51.5, NAN]]),
        "completed": np.arange(8.0).reshape(2, 2, 2),
        "market_time": np.array([1.5, NAN]),
        "price_received_at": np.array([2.5, NAN]),
        "bid": np.array([0.1234, NAN]),
        "ask": np.array([0.1236, NAN]),
        "is_open": np.array([True, False]),
        "opens_at": np.array([10.0, NAN]),
        "closes_at": np.array([20.0, NAN]),
        "recommendations": {
            "demo": RecommendationFrame(
                codes=np.array([4.0, NAN]),
                confidence=np.array([0.9, NAN]),
                expected_return=np.array([NAN, NAN]),
                as_of=np.array([1.0, NAN]),
                ids=("2b0c", None),
                completed=np.array([[3.0, NAN], [4.0, NAN]]),
                completed_confidence=np.array([[0.8, NAN], [0.9, NAN]]),
                completed_as_of=np.array([[0.5, NAN], [1.0, NAN]]),
                hit_rate=np.array([0.56, NAN]),
            ),
        },
        "bar_at": np.array([[0.5, NAN], [1.0, 1.5]]),
    }
    return MarketSnapshot(**(parts | changes))


def test_decode_gives_back_what_was_encoded_nan_included():
    original = snapshot()
    copy = decode(encode(original))
    for name in ("version", "as_of", "symbols", "instrument_ids", "fields"):
        assert getattr(copy, name) == getattr(original, name), name
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(copy, name), getattr(original, name), err_msg=name)
    frame, expected = copy.recommendations["demo"], original.recommendations["demo"]
    for name in ADVICE:
        np.testing.assert_array_equal(getattr(frame, name), getattr(expected, name), err_msg=name)
    assert frame.ids == ("2b0c", None)


def test_equal_snapshots_have_equal_bytes_so_that_a_digest_names_them():
    assert encode(snapshot()) == encode(snapshot())
    assert encode(snapshot()) != encode(snapshot(version=8))


def test_an_empty_market_can_be_encoded():
    empty = snapshot(
        symbols=(),
        instrument_ids=(),
        values=np.empty((2, 0)),
        completed=np.empty((2, 2, 0)),
        recommendations={},
        **{name: np.empty(0) for name in ARRAYS[2:-1]},
        bar_at=np.empty((2, 0)),
    )
    assert decode(encode(empty)).symbols == ()


@pytest.mark.parametrize("make", [snapshot, lambda: decode(encode(snapshot()))])
def test_its_arrays_cannot_be_changed_because_a_whole_process_shares_them(make):
    shared = make()
    frame = shared.recommendations["demo"]
    for array in [*(getattr(shared, name) for name in ARRAYS), *(getattr(frame, name) for name in ADVICE)]:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_it_does_not_follow_changes_of_the_arrays_it_was_made_from():
    bid = np.array([0.1234, NAN])
    made = snapshot(bid=bid)
    bid[0] = 99
    assert made.bid[0] == 0.1234


def test_prices_are_exact_decimals_or_unknown():
    market = snapshot()
    assert market.price("AAPL") == Decimal("0.12345678")
    assert market.bid_price("AAPL") == Decimal("0.1234")
    assert market.ask_price("AAPL") == Decimal("0.1236")
    assert market.price("FB") is None
    assert market.price("XYZ") is None


def test_columns_and_positions_are_found_by_name():
    market = snapshot()
    assert market.index("FB") == 1
    assert market.index("XYZ") is None
    np.testing.assert_array_equal(market.column("rsi"), [51.5, NAN])
    with pytest.raises(KeyError):
        market.column("macd")


def test_a_shape_that_does_not_fit_is_a_programming_error():
    with pytest.raises(AssertionError, match="bid"):
        snapshot(bid=np.array([1.0]))


def in_format(number, market):
    """As an earlier version published it: 2 without hit rates, 1 also without times of bars and advice at them."""
    encoded = encode(market)
    prefix = len(MAGIC) + struct.calcsize("<HI")
    _, header_length = struct.unpack("<HI", encoded[len(MAGIC) : prefix])
    raw = zlib.decompress(encoded[prefix:])
    numbers = np.frombuffer(raw[header_length:], dtype="<f8").tolist()
    symbols, arrays = len(market.symbols), 3 * len(market.fields) + 6
    del numbers[-symbols:]  # of the one source
    if number == 1:
        bar_at = arrays * symbols  # where they begin; is_open and four arrays of the frame follow
        del numbers[bar_at : bar_at + 2 * symbols]
        del numbers[bar_at + (1 + 4) * symbols :]
    old = np.array(numbers, dtype="<f8").tobytes()
    return MAGIC + struct.pack("<HI", number, header_length) + zlib.compress(raw[:header_length] + old)


@pytest.mark.parametrize(("number", "known"), [(1, 4), (2, 7)])
def test_a_snapshot_of_an_older_format_is_read_and_what_it_lacks_is_unknown(number, known):
    original = snapshot()
    old = decode(in_format(number, original))
    for name in ARRAYS[:-1]:
        np.testing.assert_array_equal(getattr(old, name), getattr(original, name), err_msg=name)
    frame, expected = old.recommendations["demo"], original.recommendations["demo"]
    for name in ADVICE[:known]:
        np.testing.assert_array_equal(getattr(frame, name), getattr(expected, name), err_msg=name)
    assert frame.ids == expected.ids
    for name in ADVICE[known:]:
        lacking = getattr(frame, name)
        assert lacking.shape == getattr(expected, name).shape and np.isnan(lacking).all(), name
    assert np.isnan(old.bar_at).all() == (number == 1)
    assert decode(encode(old)).as_of == original.as_of


def damaged():
    good = encode(snapshot())
    header = len(MAGIC) + struct.calcsize("<HI")
    yield "empty", b""
    yield "another format", MAGIC + struct.pack("<HI", FORMAT + 1, 0) + good[header:]
    yield "no format", MAGIC + struct.pack("<HI", 0, 0) + good[header:]
    yield "a format that it is not", MAGIC + struct.pack("<H", 1) + good[len(MAGIC) + 2 :]
    yield "another magic", b"JSON" + good[4:]
    yield "cut short", good[:-5]
    yield "not compressed", good[:header] + b"x" * 50
    raw = zlib.decompress(good[header:])
    yield "a number too few", good[:header] + zlib.compress(raw[:-8])
    yield "half a number", good[:header] + zlib.compress(raw[:-3])
    yield "no header", good[:header] + zlib.compress(b"{}" + raw)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in damaged()])
def test_damaged_bytes_are_refused(data):
    with pytest.raises(SnapshotFormatError):
        decode(data)
