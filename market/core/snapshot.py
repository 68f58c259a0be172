"""One market for everybody: all symbols × all fields at one market time, under one version.

The encoded form is versioned and self-describing: a JSON header, then raw little-endian float64, all under
zlib. Arrays of a snapshot are read-only, because one decoded object serves a whole process.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAGIC = b"ATMS"
FORMAT = 3
"""3 has the hit rates of sources, 2 the times of the last two bars and the advice that counted at them; an older
format is read with what it lacks unknown"""
DECODED_BYTES_MAX = 256 * 1024 * 1024
_PRICE_PLACES = Decimal("0.00000001")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SnapshotFormatError(ValueError):
    """These bytes are not a snapshot of a format that this code knows."""


def _frozen(values: Any, dtype: type = np.float64) -> NDArray[Any]:
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


_UNKNOWN = _frozen(np.nan)
"""stands for an array in which nothing is known, of whatever shape is expected"""


def _unknown() -> Floats:
    return _UNKNOWN


def _freeze(instance: object, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> None:
    """Make each array a read-only copy; an assertion fails where a shape is not the expected one."""
    for name, shape in shapes:
        given = getattr(instance, name)
        array = _frozen(np.full(shape, np.nan) if given is _UNKNOWN else given)
        assert array.shape == shape, f"{name}: {array.shape}, expected {shape}"
        object.__setattr__(instance, name, array)


_ADVICE_NOW = ("codes", "confidence", "expected_return", "as_of")
_ADVICE_AT_BARS = ("completed", "completed_confidence", "completed_as_of")
_OF_ITS_SOURCE = ("hit_rate",)

# Format -> the arrays that a snapshot, and that a frame of it, does not hold.
_LACKING: Mapping[int, tuple[frozenset[str], frozenset[str]]] = {
    1: (frozenset({"bar_at"}), frozenset({*_ADVICE_AT_BARS, *_OF_ITS_SOURCE})),
    2: (frozenset(), frozenset(_OF_ITS_SOURCE)),
    3: (frozenset(), frozenset()),
}


def _shapes_of_advice(symbols: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The arrays of a frame in the order in which they are encoded."""
    return (
        *((name, (symbols,)) for name in _ADVICE_NOW),
        *((name, (2, symbols)) for name in _ADVICE_AT_BARS),
        *((name, (symbols,)) for name in _OF_ITS_SOURCE),
    )


@dataclass(frozen=True, eq=False)
class RecommendationFrame:
    """The newest advice of one source for each symbol, if not expired; NaN and None where there is none."""

    codes: Floats
    """[S] rank of the class, 0 STRONG_SELL .. 4 STRONG_BUY"""
    confidence: Floats
    """[S] 0..1"""
    expected_return: Floats
    """[S] percent; NaN where the source gives none"""
    as_of: Floats
    """[S] epoch seconds, market time"""
    ids: tuple[str | None, ...]
    completed: Floats = field(default_factory=_unknown)
    """[2, S] rank of the class that counted when the previous and the last bar completed"""
    completed_confidence: Floats = field(default_factory=_unknown)
    completed_as_of: Floats = field(default_factory=_unknown)
    """[2, S] the confidence and the time of that advice"""
    hit_rate: Floats = field(default_factory=_unknown)
    """[S] how often advice of the source has come true, 0..1, where it has advice now"""

    def __post_init__(self) -> None:
        _freeze(self, _shapes_of_advice(len(self.ids)))


@dataclass(frozen=True, eq=False)
class MarketSnapshot:
    """F fields × S symbols. Times in arrays are epoch seconds. Compare versions, not objects."""

    version: int
    as_of: datetime
    symbols: tuple[str, ...]
    instrument_ids: tuple[int, ...]
    fields: tuple[str, ...]
    values: Floats
    """[F, S]; NaN is unknown"""
    completed: Floats
    """[2, F, S]: the same fields at the last two completed bars (previous, last)"""
    market_time: Floats
    """[S] market time of the symbol's quote"""
    price_received_at: Floats
    """[S] database time at which that quote was received"""
    bid: Floats
    ask: Floats
    is_open: Flags
    """[S] whether the symbol's exchange is open at `as_of`, its close included, and the symbol is not halted"""
    opens_at: Floats
    """[S] of the session on `as_of`'s day at the exchange; NaN when there is none"""
    closes_at: Floats
    recommendations: Mapping[str, RecommendationFrame]
    bar_at: Floats = field(default_factory=_unknown)
    """[2, S] market time at which the last two completed bars (previous, last) completed"""

    def __post_init__(self) -> None:
        fields, symbols = len(self.fields), len(self.symbols)
        assert self.as_of.tzinfo is not None
        assert len(self.instrument_ids) == symbols
        _freeze(self, _shapes(fields, symbols))
        object.__setattr__(self, "is_open", _frozen(self.is_open, np.bool_))
        assert self.is_open.shape == (symbols,)
        assert all(len(frame.ids) == symbols for frame in self.recommendations.values())

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {symbol: position for position, symbol in enumerate(self.symbols)}

    def index(self, symbol: str) -> int | None:
        """The symbol's column, or None."""
        return self._positions.get(symbol)

    def column(self, field: str) -> Floats:
        """[S] of one field. KeyError for a field that the snapshot does not have."""
        try:
            return self.values[self.fields.index(field)]
        except ValueError:
            raise KeyError(field) from None

    def trades(self, place: int) -> bool:
        """Whether the symbol in this column can be traded at its quote: it is open, and was quoted since it opened. A
        bid and an ask of before are nobody's any more."""
        return bool(self.is_open[place] and not self.market_time[place] < self.opens_at[place])

    def price(self, symbol: str) -> Decimal | None:
        """The last price, exact to 8 decimals; None when the symbol or its price is unknown."""
        return self._decimal("price", symbol)

    def bid_price(self, symbol: str) -> Decimal | None:
        return self._decimal("bid", symbol)

    def ask_price(self, symbol: str) -> Decimal | None:
        return self._decimal("ask", symbol)

    @cached_property
    def _decimals(self) -> dict[tuple[str, str], Decimal | None]:
        """Of which quotes it was asked: each order asks for the same few several times."""
        return {}

    def _decimal(self, name: str, symbol: str) -> Decimal | None:
        key = (name, symbol)
        if key not in self._decimals:
            values = self.column(name) if name == "price" else getattr(self, name)
            self._decimals[key] = self._read_decimal(values, symbol)
        return self._decimals[key]

    def _read_decimal(self, values: Floats, symbol: str) -> Decimal | None:
        position = self.index(symbol)
        if position is None or not np.isfinite(values[position]):
            return None
        # repr of a float is the shortest text that gives it back: at 8 decimals it is the NUMERIC it came
        # from.
        return Decimal(repr(float(values[position]))).quantize(_PRICE_PLACES)


def _shapes(fields: int, symbols: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The float arrays in the order in which they are encoded (is_open follows as 0 and 1)."""
    return (
        ("values", (fields, symbols)),
        ("completed", (2, fields, symbols)),
        ("market_time", (symbols,)),
        ("price_received_at", (symbols,)),
        ("bid", (symbols,)),
        ("ask", (symbols,)),
        ("opens_at", (symbols,)),
        ("closes_at", (symbols,)),
        ("bar_at", (2, symbols)),
    )


def encode(snapshot: MarketSnapshot) -> bytes:
    """The same snapshot always gives the same bytes, so that a digest of them names it."""
    sources = sorted(snapshot.recommendations)
    header = {
        "version": snapshot.version,
        "as_of_us": (snapshot.as_of - _EPOCH) // _MICROSECOND,
        "symbols": snapshot.symbols,
        "instrument_ids": snapshot.instrument_ids,
        "fields": snapshot.fields,
        "sources": sources,
        "recommendation_ids": [snapshot.recommendations[source].ids for source in sources],
    }
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    arrays: list[NDArray[Any]] = [
        getattr(snapshot, name) for name, _ in _shapes(len(snapshot.fields), len(snapshot.symbols))
    ]
    arrays.append(snapshot.is_open)
    for source in sources:
        frame = snapshot.recommendations[source]
        arrays += [getattr(frame, name) for name, _ in _shapes_of_advice(len(snapshot.symbols))]
    body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)
    return MAGIC + struct.pack("<HI", FORMAT, len(text)) + zlib.compress(text + body, level=1)


def decode(data: bytes) -> MarketSnapshot:
    """The inverse of `encode`, bit for bit. SnapshotFormatError for anything else.

    A snapshot of an older format is read with what it does not hold unknown, so that workers can be replaced
    while an older feed still publishes.
    """
    prefix = len(MAGIC) + struct.calcsize("<HI")
    if len(data) < prefix or data[: len(MAGIC)] != MAGIC:
        raise SnapshotFormatError("not a market snapshot")
    format_number, header_length = struct.unpack("<HI", data[len(MAGIC) : prefix])
    if format_number not in _LACKING:
        raise SnapshotFormatError(
            f"snapshot format {format_number} is not known here (this code reads {tuple(_LACKING)})"
        )
    try:
        decompressor = zlib.decompressobj()
        raw = decompressor.decompress(data[prefix:], DECODED_BYTES_MAX)
        if not decompressor.eof:
            raise SnapshotFormatError("the snapshot is cut short or larger than permitted")
        header = json.loads(raw[:header_length])
        body = np.frombuffer(raw[header_length:], dtype="<f8")
        return _from_parts(header, body, format_number)
    except SnapshotFormatError:
        raise
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise SnapshotFormatError(f"the snapshot is damaged: {error!r}") from error


def _from_parts(header: dict[str, Any], body: Floats, format_number: int) -> MarketSnapshot:
    symbols, fields, sources = tuple(header["symbols"]), tuple(header["fields"]), header["sources"]
    count = len(symbols)
    lacking, lacking_of_advice = _LACKING[format_number]
    shapes = [entry for entry in _shapes(len(fields), count) if entry[0] not in lacking]
    of_advice = [entry for entry in _shapes_of_advice(count) if entry[0] not in lacking_of_advice]
    advice_size = sum(math.prod(shape) for _, shape in of_advice)
    expected = sum(math.prod(shape) for _, shape in shapes) + count + len(sources) * advice_size
    if body.size != expected:
        raise SnapshotFormatError(f"the snapshot has {body.size} numbers, its header promises {expected}")
    taken = 0

    def take(shape: tuple[int, ...]) -> Floats:
        nonlocal taken
        size = math.prod(shape)
        part = body[taken : taken + size].reshape(shape)
        taken += size
        return part

    arrays = {name: take(shape) for name, shape in shapes}
    is_open = take((count,)).astype(np.bool_)
    recommendations = {}
    for source, ids in zip(sources, header["recommendation_ids"], strict=True):
        parts = {name: take(shape) for name, shape in of_advice}
        recommendations[source] = RecommendationFrame(ids=tuple(ids), **parts)
    return MarketSnapshot(
        version=header["version"],
        as_of=_EPOCH + header["as_of_us"] * _MICROSECOND,
        symbols=symbols,
        instrument_ids=tuple(header["instrument_ids"]),
        fields=fields,
        is_open=is_open,
        recommendations=recommendations,
        **arrays,
    )
