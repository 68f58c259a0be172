"""Recording what the provider of market data says that companies do to their shares.

A split that nobody records halves a price for no reason, and stops would sell on it. So it is asked for each hour,
weeks ahead. What cannot be recorded is told to people, once: they record what is right, or withdraw what is wrong. So
is what we have no books for: a spin-off takes its part out of a price as a split does.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import structlog
from django.db.models import Q

from foundation.clock import database_now
from foundation.errors import DomainError
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.selectors import newest_about
from journal.services.journal import append
from market.core.announced import Announced, Announces, Recorded, news
from market.models import CalendarDay, CorporateAction
from market.selectors import market_now
from market.services.corporate_actions import NewCorporateAction, record
from market.services.feed_state import active_instruments

BEFORE, AHEAD = timedelta(days=7), timedelta(days=30)
UNRECORDED, UNKNOWN = "corporate_action.unrecorded", "corporate_action.source_failed"
MESSAGE_CHARACTERS_MAX = 1_000
Kind = CorporateAction.Kind
log = structlog.get_logger(__name__)


def record_announced(source: Announces | None) -> int:
    """Ask for what goes ex soon, or has just done so, and record it; returns how much was new.

    What one of them is refused for keeps no other from being recorded. That the source gave nothing to use is told once
    a day.
    """
    now = market_now()
    if source is None or now is None:
        return 0
    exchange_of = {row.symbol: row.exchange_id for row in active_instruments()}
    try:
        told = source.announced(
            symbols=sorted(exchange_of), first=(now - BEFORE).date(), last=(now + AHEAD).date()
        )
    except Exception as error:  # a network, and whatever somebody answers
        log.exception("announcements_failed")
        _tell_of_silence(now, repr(error))
        return 0
    opening = _openings(told, exchange_of)
    count = 0
    for one, former in news(told=told, recorded=_recorded(told)):
        if former is None:
            count += _record(one, opening.get((exchange_of[one.symbol], one.ex_day)))
        else:
            reason = f"it differs from {former.external_id!r}, which was recorded"
            _tell(one, f"{reason}. If this is right, withdraw that one, and record this one by hand")
    return count


def _recorded(told: Sequence[Announced]) -> list[Recorded]:
    """Of the same ids, or symbols and days (of UTC, in which an exchange in America opens)."""
    if not told:
        return []
    days = [one.ex_day for one in told]
    first, after = min(days), max(days) + timedelta(days=1)
    rows = CorporateAction.objects.filter(
        Q(external_id__in=[one.external_id for one in told])
        | Q(
            instrument__symbol__in={one.symbol for one in told},
            ex_at__gte=datetime.combine(first, time(), UTC), ex_at__lt=datetime.combine(after, time(), UTC),
        )
    ).select_related("instrument")  # fmt: skip
    return [
        Recorded(
            external_id=row.external_id, symbol=row.instrument.symbol, ex_day=row.ex_at.astimezone(UTC).date(),
            amount=row.amount, new_units=row.new_units, old_units=row.old_units,
            withdrawn=row.withdrawn_at is not None,
        )
        for row in rows.order_by("external_id")
    ]  # fmt: skip


def _openings(told: Sequence[Announced], exchange_of: Mapping[str, str]) -> dict[tuple[str, date], datetime]:
    rows = CalendarDay.objects.filter(
        exchange_id__in=set(exchange_of.values()), day__in={one.ex_day for one in told}
    )
    return {(exchange, day): at for exchange, day, at in rows.values_list("exchange_id", "day", "opens_at")}


def _record(one: Announced, ex_at: datetime | None) -> bool:
    if one.other:
        _tell(
            one, f"{one.other} is neither a split nor a dividend; see to its price, and to what is held of it"
        )
        return False
    if ex_at is None:
        _tell(one, f"{one.ex_day} is no trading day that is known of its exchange")
        return False
    item = NewCorporateAction(
        external_id=one.external_id, symbol=one.symbol, ex_at=ex_at,
        kind=Kind.DIVIDEND if one.amount is not None else Kind.SPLIT,
        amount=one.amount, new_units=one.new_units, old_units=one.old_units,
    )  # fmt: skip
    try:
        return record(item, actor=None)[1]
    except DomainError as error:
        _tell(one, str(error))
        return False


def _tell_of_silence(now: datetime, reason: str) -> None:
    day = now.date().isoformat()
    if newest_about(PLATFORM_STREAM, (UNKNOWN,), "day", day, until=database_now()) is not None:
        return
    message = (
        "The provider cannot be asked for splits and dividends. Until it can, record them by hand: on a split that is "
        f"not recorded, stops sell. {reason}"
    )
    alert = AlertSpec("critical", message[:MESSAGE_CHARACTERS_MAX])
    payload = {"day": day, "reason": reason[:MESSAGE_CHARACTERS_MAX]}
    append([Event(PLATFORM_STREAM, UNKNOWN, database_now(), payload, alert)])


def _tell(one: Announced, reason: str) -> None:
    now = database_now()
    if newest_about(PLATFORM_STREAM, (UNRECORDED,), "external_id", one.external_id, until=now) is not None:
        return
    message = (
        f"{one.symbol}: {_what(one)}, ex {one.ex_day}, was announced and could not be recorded: {reason}"
    )
    payload = {
        "external_id": one.external_id, "symbol": one.symbol, "ex_day": one.ex_day, "amount": one.amount,
        "new_units": one.new_units, "old_units": one.old_units, "reason": reason,
    }  # fmt: skip
    alert = AlertSpec("critical" if one.amount is None else "warning", message[:MESSAGE_CHARACTERS_MAX])
    append([Event(PLATFORM_STREAM, UNRECORDED, now, payload, alert)])


def _what(one: Announced) -> str:
    if one.other:
        return one.other
    return f"a split {one.new_units}:{one.old_units}" if one.amount is None else f"a dividend of {one.amount}"
