"""The bars that a replay plays: the shipped sample, or the file of settings.REPLAY_FILE."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market import sample_data
from market.core.adjustment import DayBar
from market.models import Instrument
from market.services.bar_files import BarFileError, FileBar, read_bars

ROWS_MAX = 2_000_000
"""they are kept in memory, about half a kilobyte each"""
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class ReplayedBars:
    """`days`: bars of whole days; `moments`: bars that completed at a time of day."""

    days: Sequence[DayBar]
    moments: Sequence[FileBar] = ()


def replayed_bars() -> ReplayedBars:
    """As settings say. ImproperlyConfigured names REPLAY_FILE and what is wrong with it."""
    if not settings.REPLAY_FILE:
        return ReplayedBars(sample_data.adjusted_bars())
    path = Path(settings.REPLAY_FILE)
    try:
        return _of_file(path, path.stat().st_mtime_ns, tuple(settings.REPLAY_COLUMNS.items()))
    except (BarFileError, OSError) as error:
        raise ImproperlyConfigured(f"REPLAY_FILE cannot be replayed: {error}") from error


def refuse_unknown_symbols(bars: ReplayedBars) -> None:
    """A file's symbol that is no instrument would be left out in silence: ImproperlyConfigured names it, and the cure.

    An instrument that is switched off may be in it. Of the sample nothing is asked.
    """
    if not settings.REPLAY_FILE:
        return
    symbols = {bar.symbol for bar in bars.days} | {row.bar.symbol for row in bars.moments}
    known = Instrument.objects.filter(symbol__in=[name for name in symbols if name.isprintable()])
    unknown = sorted(symbols - set(known.values_list("symbol", flat=True)))
    if unknown:
        more = f" and {len(unknown) - SHOWN_MAX} more" if len(unknown) > SHOWN_MAX else ""
        raise ImproperlyConfigured(
            f"REPLAY_FILE has symbols that are no instruments: {', '.join(unknown[:SHOWN_MAX])}{more}. Add them by "
            "manage.py import_history FILE --exchange CODE, or POST /api/market/instruments."
        )


@lru_cache(maxsize=1)
def _of_file(path: Path, modified: int, columns: tuple[tuple[str, str], ...]) -> ReplayedBars:
    """Read once for each state of the file: the feed builds its provider anew whenever the market's past changed."""
    rows = list(islice(read_bars(path, columns=dict(columns)), ROWS_MAX + 1))
    if len(rows) > ROWS_MAX:
        raise BarFileError(f"{path}: more than {ROWS_MAX} rows; cut it in pieces by date.")
    rows = _with_midnights(rows)
    return ReplayedBars(
        days=[row.bar for row in rows if row.at is None],
        moments=[row for row in rows if row.at is not None],
    )


def _with_midnights(rows: Sequence[FileBar]) -> list[FileBar]:
    """Of a symbol with times of day midnight is one of them: where nothing closes, a bar completes at it as well."""
    of_moments = {row.bar.symbol for row in rows if row.at is not None}
    return [
        replace(row, at=row.midnight) if row.midnight is not None and row.bar.symbol in of_moments else row
        for row in rows
    ]
