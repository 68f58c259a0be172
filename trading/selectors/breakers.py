"""What breakers look at: losses in a row, rates, signs of life, and who is not attended to."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from foundation.arrays import array_text
from foundation.asking import Steps, asking
from foundation.loading import selected
from foundation.tasks import BEAT
from market.selectors import FEED_FINISHED
from portfolios.models import BrokerAccount, LimitSet, Position
from sessions.models import TradingSession
from trading.core.breakers import Breaker, LosingRun


def running_sessions(portfolio_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Portfolio -> its running session; those without are absent."""
    return dict(
        selected(
            "SELECT portfolio_id, id FROM trading_sessions WHERE portfolio_id = ANY(%s::uuid[]) AND status = ANY(%s)",
            [array_text(portfolio_ids), [str(status) for status in TradingSession.RUNNING]],
        )
    )


def running_portfolios() -> list[uuid.UUID]:
    running = TradingSession.objects.filter(status__in=TradingSession.RUNNING)
    return list(running.order_by("portfolio_id").values_list("portfolio_id", flat=True))


@asking
def losing_streaks(portfolio_ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, int]]:
    """How many closing trades in a row lost, of each portfolio given; 0 where the last one did not."""
    runs = yield from losing_runs.steps(portfolio_ids)
    return {key: run.losses for key, run in runs.items()}


@asking
def losing_runs(portfolio_ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, LosingRun]]:
    """The same with the trade that lost last. One query, whose cost is the streak's length, not the history's.

    A closing trade is a sell that has ended with a fill, of all or of a part; it lost when what it realised is less
    than its fees. One that did not ends the streak, and so does a risk officer who releases the streak's breaker: what
    was lost before is judged.
    """
    runs = dict.fromkeys(portfolio_ids, LosingRun())
    (found,) = yield [(_LOSING_RUNS, [array_text(runs)])]
    return runs | {key: LosingRun(losses, last) for key, losses, last in found}


# As the index `trade_closing` says it.
_CLOSED = """
    trade_type = 'sell' AND status IN ('filled', 'cancelled', 'rejected', 'expired') AND executed_at IS NOT NULL
"""
_LOSING_RUNS = f"""
    SELECT wanted.id, count(*), (array_agg(lost.id ORDER BY lost.executed_at, lost.updated_at, lost.id))[count(*)]
    FROM unnest(%s::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(released_at), '-infinity') AS at FROM trading_halt
        WHERE armed_by_breaker = 'losing_streak' AND scope = 'portfolio' AND scope_id = wanted.id::text
    ) AS released
    LEFT JOIN LATERAL (
        SELECT executed_at, updated_at, id FROM auto_trades
        WHERE portfolio_id = wanted.id AND {_CLOSED} AND realised_pnl >= fees
        ORDER BY executed_at DESC, updated_at DESC, id DESC LIMIT 1
    ) AS won ON true
    CROSS JOIN LATERAL (
        SELECT id, executed_at, updated_at FROM auto_trades
        WHERE portfolio_id = wanted.id AND {_CLOSED} AND realised_pnl < fees
          AND (executed_at, updated_at, id) > (
              coalesce(won.executed_at, '-infinity'), coalesce(won.updated_at, '-infinity'),
              coalesce(won.id, '00000000-0000-0000-0000-000000000000'))
          AND updated_at > released.at
    ) AS lost
    GROUP BY wanted.id
"""  # noqa: S608 - the text above


def releases_of_rules(portfolio_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """When rules that fired too often were last released, database time; those that never were are absent."""
    latest = selected(
        """
        SELECT scope_id, max(released_at) FROM trading_halt
        WHERE armed_by_breaker = %s AND released_at IS NOT NULL AND scope = 'rule'
          AND scope_id IN (SELECT id::text FROM trading_rules WHERE portfolio_id = ANY(%s))
        GROUP BY scope_id
        """,
        [Breaker.REPEATED_EXECUTION.value, list(portfolio_ids)],
    )
    return {uuid.UUID(scope_id): at for scope_id, at in latest}


LossLimits = tuple[float, float]
"""daily loss and drawdown in percent; inf: there is none"""


def tightest_loss_limits() -> LossLimits:
    """The smallest that anybody ever set on anything: below them nobody's breaker trips. Two looks into an index."""
    (found,) = selected(
        "SELECT coalesce(min(max_daily_loss_percentage), 'Infinity')::float8,"
        " coalesce(min(max_drawdown_percentage), 'Infinity')::float8 FROM portfolios_limitset"
    )
    return found[0], found[1]


def rejections_last_minute() -> dict[uuid.UUID, int]:
    """Trades rejected within the last minute of database time, by portfolio, since the breaker's last release."""
    return _within_a_minute(Breaker.REJECTION_RATE, "auto_trades", "updated_at", "AND status = 'rejected'")


def messages_last_minute() -> dict[uuid.UUID, int]:
    """Orders and cancels within the last minute of database time, by portfolio, since the breaker's last release."""
    return _within_a_minute(Breaker.ORDER_RATE, "trading_ordermessage", "at")


def _within_a_minute(breaker: Breaker, table: str, column: str, condition: str = "") -> dict[uuid.UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT portfolio_id, count(*) FROM {table} AS found
            WHERE {column} > statement_timestamp() - interval '1 minute' {condition}
              AND {column} > (
                  SELECT coalesce(max(released_at), '-infinity') FROM trading_halt
                  WHERE armed_by_breaker = %s AND scope = 'portfolio' AND scope_id = found.portfolio_id::text)
            GROUP BY portfolio_id
            """,  # noqa: S608 - the texts above
            [breaker.value],
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True)
class SignsOfLife:
    """Who was heard of when, in database time; None: never.

    `feed_at`: the newest snapshot, or the feed's word that its data has ended; `version`: that snapshot's.
    """

    now: datetime
    version: int | None
    feed_at: datetime | None
    beat_at: datetime | None
    sessions_run: bool


def signs_of_life() -> SignsOfLife:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT clock_timestamp(), snapshot.version, greatest(snapshot.published_at, heard.finished), heard.beat,
                   EXISTS (SELECT FROM trading_sessions WHERE status <> 'stopped')
            FROM (SELECT) AS always
            LEFT JOIN (SELECT version, published_at FROM market_snapshots ORDER BY version DESC LIMIT 1)
                AS snapshot ON true
            CROSS JOIN (
                SELECT max(at) FILTER (WHERE component = %s) AS finished,
                       max(at) FILTER (WHERE component = %s) AS beat
                FROM foundation_heartbeat
            ) AS heard
            """,
            [FEED_FINISHED, BEAT],
        )
        return SignsOfLife(*cursor.fetchone())


def portfolios_with_own_silence() -> dict[uuid.UUID, uuid.UUID]:
    """Portfolio -> session of those that run and have ever set a limit on silence themselves."""
    sets = LimitSet.objects.filter(
        Q(max_feed_silence_seconds__isnull=False) | Q(max_beat_silence_seconds__isnull=False),
        scope_id__isnull=False,
    ).values("scope_id")
    accounts = BrokerAccount.objects.filter(pk__in=sets).values("portfolio_id")
    running = TradingSession.objects.filter(status__in=TradingSession.RUNNING).filter(
        Q(portfolio_id__in=sets) | Q(pk__in=sets) | Q(portfolio_id__in=accounts)
    )
    return dict(running.values_list("portfolio_id", "id"))


def held_unattended() -> list[uuid.UUID]:
    """Portfolios that hold something and that not every snapshot has evaluated: no session of theirs is active
    or paused, or it is evaluated by the clock, which may be once a day."""
    evaluated = TradingSession.objects.filter(
        portfolio_id=OuterRef("portfolio_id"),
        status__in=[TradingSession.Status.ACTIVE, TradingSession.Status.PAUSED],
        slice__every_seconds=0,
    )
    held = Position.objects.filter(~Exists(evaluated), quantity__gt=0)
    return list(held.order_by("portfolio_id").values_list("portfolio_id", flat=True).distinct())
