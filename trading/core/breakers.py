"""Circuit breakers: whether a fact has reached its limit, in which episode, and with which numbers. Pure.

A loss, a drawdown, a losing streak and the rate of orders trip their breaker when the limit is *reached*, which is
when the risk check refuses entries, too. Rejections and a silence trip it when the limit is *exceeded*: so much is
permitted.

An *episode* is what a breaker trips once for: released by a person, it does not trip again before the next one.
A limit that nobody has set trips nothing, nor does a fact that is unknown (an equity with a price missing):
the risk check refuses entries on unknown facts, and a stop that a person must release would outlive the doubt.

A breaker stops entries and lets exits go on; but that of reconciliation stops everything: where the broker and the
books do not agree, nobody knows what a sell would reduce. A difference of cash alone is no reason to keep stop-losses
from working: its breaker is another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from foundation.core.canonical import plain_decimal, utc_text
from foundation.core.money import as_decimal
from portfolios.core.limits import for_entries

EPISODE_CHARACTERS_MAX = 64
OF_CASH = frozenset({"cash", "activity"})
"""Kinds of breaks that are no doubt about what a sell reduces: money is all that differs."""
OF_BLOCKS = frozenset({"blocked"})
"""Kinds of breaks that are no difference at all: the broker takes no orders of the account."""


class Breaker(StrEnum):
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LOSING_STREAK = "losing_streak"
    REJECTION_RATE = "rejection_rate"
    ORDER_RATE = "order_rate"
    FEED_SILENCE = "feed_silence"
    BEAT_SILENCE = "beat_silence"
    REPEATED_EXECUTION = "repeated_execution"
    RECONCILIATION = "reconciliation"
    UNRECONCILED = "unreconciled"
    CASH_DIFFERENCE = "cash_difference"
    ACCOUNT_BLOCKED = "account_blocked"

    @property
    def mode(self) -> str:
        """Of its halt."""
        return "halt" if self is Breaker.RECONCILIATION else "reduce_only"


OF_ACCOUNTS = frozenset(
    {Breaker.RECONCILIATION, Breaker.UNRECONCILED, Breaker.CASH_DIFFERENCE, Breaker.ACCOUNT_BLOCKED}
)
"""Breakers that stop one broker account: a risk officer of its portfolio, or the staff, releases it."""
OF_OUTAGES = frozenset({Breaker.FEED_SILENCE, Breaker.BEAT_SILENCE, Breaker.UNRECONCILED})
"""Breakers that stop because somebody is not heard. Their stops end by themselves when he is: nobody has anything to
judge. Whoever knows better may release them before."""
SETTLED_SECONDS = 30
"""So long he must have been heard, so that a process that comes and goes does not switch trading on and off with it."""
LOOKS_APART_SECONDS = 15


@dataclass(frozen=True)
class BreakerSpec:
    """In words, for `docs/risk-controls.md`: what it stops, when, on which limit, who looks, and for how long once.

    limit: its name; empty: it trips without one.
    """

    breaker: Breaker
    stops: str
    trips: str
    limit: str
    looked_at: str
    episode: str


BREAKERS: tuple[BreakerSpec, ...] = (
    BreakerSpec(Breaker.DAILY_LOSS, "portfolio", "the day's loss reaches it", "max_daily_loss_percentage",
                "each evaluation, before its entries; sweep", "market day"),
    BreakerSpec(Breaker.DRAWDOWN, "portfolio", "the drawdown reaches it", "max_drawdown_percentage",
                "each evaluation, before its entries; sweep", "peak equity"),
    BreakerSpec(Breaker.LOSING_STREAK, "portfolio", "as many closing trades in a row lost; a release begins anew",
                "max_losing_streak", "after a losing sell is booked; sweep", "last losing trade"),
    BreakerSpec(Breaker.REJECTION_RATE, "portfolio", "more trades were rejected within a minute, counted since"
                " the last release", "max_rejections_per_minute", "sweep", "minute"),
    BreakerSpec(Breaker.ORDER_RATE, "portfolio", "orders and cancels within a minute, counted since the last"
                " release, use up what it leaves to entries", "max_messages_per_minute", "sweep", "minute"),
    BreakerSpec(Breaker.FEED_SILENCE, "platform", "no market data came for longer while an exchange is open",
                "max_feed_silence_seconds", "each evaluation, execution and sweep; `streams`", "last sign of the feed"),
    BreakerSpec(Breaker.BEAT_SILENCE, "platform", "celery-beat gave no sign of life for longer",
                "max_beat_silence_seconds", "each evaluation, execution and sweep; `streams`", "last sign of beat"),
    BreakerSpec(Breaker.REPEATED_EXECUTION, "rule", "the rule fires more often within its window",
                "max_rule_executions", "each order", "its last release"),
    BreakerSpec(Breaker.RECONCILIATION, "account", "the broker and the books do not agree (a break), until no break"
                " is open and a risk officer or the staff release it; in mode `halt`", "",
                "each reconciliation; each report of the broker", "its last release"),
    BreakerSpec(Breaker.UNRECONCILED, "account", "books and broker could not be compared for longer than the setting"
                " `UNRECONCILED_SECONDS`: fills may be missing, which protections and losses do not see", "",
                "sweep", "last comparison"),
    BreakerSpec(Breaker.CASH_DIFFERENCE, "account", "the broker's cash differs from the books', until it does not or"
                " somebody has explained it, and a risk officer or the staff release it", "",
                "each reconciliation", "its last release"),
    BreakerSpec(Breaker.ACCOUNT_BLOCKED, "account", "the broker says that the account may not trade, until it may or"
                " somebody has explained it, and a risk officer or the staff release it", "",
                "each reconciliation", "its last release"),
)  # fmt: skip


@dataclass(frozen=True)
class Tripped:
    """Why a breaker trips. `numbers` hold the fact and its limit, which the journal keeps."""

    breaker: Breaker
    episode: str
    reason: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert 0 < len(self.episode) <= EPISODE_CHARACTERS_MAX


def daily_loss(*, pnl_percentage: float, limit: Decimal | None, market_day: date) -> Tripped | None:
    """`pnl_percentage` of the day's first equity, negative for a loss; an episode is a market day."""
    if limit is None or not pnl_percentage < 0 or (loss := as_decimal(-pnl_percentage)) < limit:
        return None
    return Tripped(
        Breaker.DAILY_LOSS,
        market_day.isoformat(),
        f"the loss of {market_day} is {_text(loss)} % of the day's first equity; the limit is {_text(limit)} %",
        {"loss_percentage": loss, "limit": limit},
    )


def drawdown(*, drawdown_percentage: float, limit: Decimal | None, peak: Decimal) -> Tripped | None:
    """An episode is the `peak` equity that it is measured from."""
    if limit is None or not drawdown_percentage > 0 or (down := as_decimal(drawdown_percentage)) < limit:
        return None
    return Tripped(
        Breaker.DRAWDOWN,
        _text(peak),
        f"equity is {_text(down)} % below its peak of {_text(peak)}; the limit is {_text(limit)} %",
        {"drawdown_percentage": down, "peak_equity": peak, "limit": limit},
    )


@dataclass(frozen=True)
class LosingRun:
    """Losses in a row, and the trade that made the last of them (None: there is none)."""

    losses: int = 0
    last_trade_id: UUID | None = None


def losing_streak(*, run: LosingRun, limit: Decimal | None) -> Tripped | None:
    """An episode is the last losing trade; what was lost before a release is not counted any more."""
    if limit is None or run.last_trade_id is None or run.losses < limit:
        return None
    return Tripped(
        Breaker.LOSING_STREAK,
        str(run.last_trade_id),
        f"{run.losses} losing trades in a row; the limit is {_text(limit)}",
        {"losses": run.losses, "last_trade_id": str(run.last_trade_id), "limit": limit},
    )


def rejection_rate(*, rejected: int, limit: Decimal | None, now: datetime) -> Tripped | None:
    """`rejected` within the minute before `now`, database time; an episode is a minute of the clock."""
    if limit is None or rejected <= limit:
        return None
    return Tripped(
        Breaker.REJECTION_RATE,
        _minute(now),
        f"{rejected} trades were rejected within a minute; the limit is {_text(limit)}",
        {"rejected": rejected, "limit": limit},
    )


def order_rate(*, messages: int, limit: Decimal | None, now: datetime) -> Tripped | None:
    """`messages` (orders and cancels) within the minute before `now`, database time; an episode is a minute of the
    clock.

    It trips when they have used up what the risk check leaves to entries (`for_entries`): whatever orders so much
    has run wild, and is not to go on when the minute is over.
    """
    if limit is None or messages < for_entries(limit):
        return None
    return Tripped(
        Breaker.ORDER_RATE,
        _minute(now),
        f"{messages} orders and cancels within a minute, of {_text(for_entries(limit))} that entries may use",
        {"messages": messages, "for_entries": for_entries(limit), "limit": limit},
    )


def repeated_execution(
    *, version: int, released_at: datetime | None, executions: Decimal, limit: Decimal, detail: str
) -> Tripped:
    """A rule fired more often than its window permits, as the risk check found (`detail`).

    An episode is what came since its last release, which begins a new count: it is disabled until a risk officer
    releases it, each time.
    """
    return Tripped(
        Breaker.REPEATED_EXECUTION,
        f"since {utc_text(released_at)}" if released_at is not None else "first",
        detail,
        {"executions": executions, "limit": limit, "version": version},
    )


def breaker_of_break(kind: str) -> Breaker:
    """Which one a break of this kind trips."""
    if kind in OF_BLOCKS:
        return Breaker.ACCOUNT_BLOCKED
    return Breaker.CASH_DIFFERENCE if kind in OF_CASH else Breaker.RECONCILIATION


def told_of_break(kind: str, detail: str) -> str:
    """A break of this kind in a sentence for people."""
    if kind in OF_BLOCKS:
        return f"the broker takes no orders of this account: {detail}"
    return f"the broker and the books do not agree: {detail}"


def reconciliation(*, released_at: datetime | None, kind: str, key: str, detail: str) -> Tripped:
    """A break was found or is still seen. An episode is what came since the last release of its breaker."""
    return Tripped(
        breaker_of_break(kind),
        f"since {utc_text(released_at)}" if released_at is not None else "first",
        told_of_break(kind, detail),
        {"kind": kind, "key": key},
    )


@dataclass(frozen=True)
class Silence:
    """How long somebody has not been heard of. `last` is the last sign, `since` when the listening began.

    Nothing before `since` counts: who was away himself cannot tell whether the other was silent.
    """

    last: datetime | None
    since: datetime
    now: datetime

    @property
    def seconds(self) -> Decimal:
        begin = self.since if self.last is None else max(self.last, self.since)
        return as_decimal((self.now - begin).total_seconds())

    def exceeds(self, limit: Decimal | None) -> bool:
        return limit is not None and self.seconds > limit

    def numbers(self, limit: Decimal) -> dict[str, Any]:
        last = utc_text(self.last) if self.last is not None else None
        return {"silent_seconds": self.seconds, "last_sign": last, "limit": limit}


def is_heard(*, silence: Silence, limit: Decimal) -> bool:
    """Whether he is heard again for whose silence a stop was armed, at `silence.since`; `limit` is what it was armed
    for. Nothing is concluded of who has not been."""
    return silence.last is not None and silence.last > silence.since and not silence.exceeds(limit)


def heard_since(*, since: datetime | None, at: datetime | None, now: datetime) -> datetime:
    """Since when he who is heard now has been heard at each look; `since` and `at` are of the look before. Of what lies
    between looks that are far apart nobody can tell, so it begins anew."""
    if since is None or at is None or now - at > timedelta(seconds=LOOKS_APART_SECONDS):
        return now
    return since


def feed_silence(*, silence: Silence, version: int, any_open: bool, limit: Decimal | None) -> Tripped | None:
    """No market data while an exchange is open; an episode is the last sign of the feed.

    `version` is the newest snapshot's, `any_open` whether it says that an exchange is open.
    """
    if limit is None or not any_open or not silence.exceeds(limit):
        return None
    last = utc_text(silence.last) if silence.last is not None else "never"
    return Tripped(
        Breaker.FEED_SILENCE,
        f"{version} {last}",
        f"no market data for {_seconds(silence)} s while an exchange is open; the limit is {_text(limit)} s",
        {**silence.numbers(limit), "version": version},
    )


def beat_silence(*, silence: Silence, limit: Decimal | None) -> Tripped | None:
    """No sign of life of the scheduler: the dead-man's switch; an episode is the last sign."""
    if limit is None or not silence.exceeds(limit):
        return None
    return Tripped(
        Breaker.BEAT_SILENCE,
        utc_text(silence.last) if silence.last is not None else "never",
        f"celery-beat gave no sign of life for {_seconds(silence)} s; the limit is {_text(limit)} s",
        silence.numbers(limit),
    )


def unreconciled(*, silence: Silence, limit: Decimal) -> Tripped | None:
    """No comparison of the books with the broker has succeeded; an episode is the last one that did."""
    if not silence.exceeds(limit):
        return None
    return Tripped(
        Breaker.UNRECONCILED,
        utc_text(silence.last) if silence.last is not None else "never",
        f"books and broker could not be compared for {_seconds(silence)} s; the limit is {_text(limit)} s",
        silence.numbers(limit),
    )


def _text(number: Decimal) -> str:
    return plain_decimal(number)


def _seconds(silence: Silence) -> str:
    return f"{silence.seconds:.1f}"


def _minute(now: datetime) -> str:
    return utc_text(now.replace(second=0, microsecond=0))
