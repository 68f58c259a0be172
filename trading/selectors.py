import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import (
    Case,
    CharField,
    Exists,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce

from foundation.tasks import BEAT
from market.selectors import FEED_FINISHED
from portfolios.models import BrokerAccount, LimitSet, Member, Position, Role
from portfolios.selectors import AnyUser, visible_portfolios
from rules.models import TradingRule
from sessions.models import TradingSession
from trading.core.breakers import Breaker, LosingRun
from trading.core.track_record import BookedFill, TrackRecord, round_trips, track_record
from trading.models import AutoTrade, Decision, Execution, Halt

# How far back a rule's record goes, in fills of its instruments: it is read under the portfolio's lock.
RECORD_FILLS_MAX = 5_000


def get_trading_history(portfolio_id: uuid.UUID) -> QuerySet[AutoTrade]:
    """Every trade of a portfolio, the newest first."""
    return AutoTrade.objects.filter(portfolio_id=portfolio_id).order_by("-created_at", "-id")


def visible_trades(user: AnyUser) -> QuerySet[AutoTrade]:
    return AutoTrade.objects.filter(portfolio__in=visible_portfolios(user))


def visible_decisions(user: AnyUser) -> QuerySet[Decision]:
    return Decision.objects.filter(portfolio__in=visible_portfolios(user))


def visible_halts(user: AnyUser) -> QuerySet[Halt]:
    """Halts that cover something of the user's: the platform's, symbols', and those within his portfolios.

    Staff see all: they arm and release what is wider than a portfolio.
    """
    if user.is_active and getattr(user, "is_staff", False):
        return Halt.objects.all()
    mine = visible_portfolios(user)
    text = CharField()
    return Halt.objects.filter(
        Q(scope__in=[Halt.Scope.PLATFORM, Halt.Scope.SYMBOL])
        | Q(scope="portfolio", scope_id__in=mine.values(key=Cast("id", text)))
        | Q(
            scope="account",
            scope_id__in=BrokerAccount.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
        | Q(
            scope="session",
            scope_id__in=TradingSession.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
        | Q(
            scope="rule",
            scope_id__in=TradingRule.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
    )


def _portfolio_of(model: type[Model]) -> Subquery:
    rows = model._default_manager.filter(pk=Cast(OuterRef("scope_id"), UUIDField()))
    return Subquery(rows.values("portfolio_id"))


def shown_halts(user: AnyUser) -> QuerySet[Halt]:
    """Visible halts with `portfolio_id`, which they lie in (None: platform and symbol), and the user's `role` there."""
    lies_in = Case(
        When(scope=Halt.Scope.PORTFOLIO, then=Cast("scope_id", UUIDField())),
        When(scope=Halt.Scope.ACCOUNT, then=_portfolio_of(BrokerAccount)),
        When(scope=Halt.Scope.SESSION, then=_portfolio_of(TradingSession)),
        When(scope=Halt.Scope.RULE, then=_portfolio_of(TradingRule)),
        output_field=UUIDField(),
    )
    user_id = user.pk
    assert user_id is not None, "only a user sees halts"
    mine = Member.objects.filter(user_id=user_id, portfolio_id=OuterRef("portfolio_id"))
    # As portfolios.selectors.role_of: a superuser without membership acts as owner.
    otherwise = Role.OWNER if getattr(user, "is_superuser", False) else None
    role = Coalesce(
        Subquery(mine.values("role")[:1]), Value(otherwise, CharField()), output_field=CharField()
    )
    rows = visible_halts(user).annotate(portfolio_id=lies_in).annotate(role=role)
    return rows.select_related("armed_by", "armed_by_rule", "released_by")


def track_record_of(
    portfolio_id: uuid.UUID, *, rule_id: uuid.UUID, held: Mapping[int, Decimal]
) -> TrackRecord:
    """The closed round trips of a rule, of all its versions, in one query. `held`: units now, by instrument.

    Of a longer history only the newest RECORD_FILLS_MAX fills count; what they do not explain of what is held was
    there before and is sold first. An instrument whose whole history does not explain it, as after a split, is left
    out: which buy was sold at which profit can not be told.
    """
    bought = AutoTrade.objects.filter(portfolio_id=portfolio_id, rule_id=rule_id, trade_type="buy")
    rows = (
        Execution.objects.filter(
            trade__portfolio_id=portfolio_id, trade__instrument_id__in=bought.values("instrument_id")
        )
        .order_by("-market_at", "-id")
        .values_list(
            "trade__instrument_id", "trade_id", "trade__rule_id", "trade__trade_type", "quantity", "price", "fee"
        )
    )  # fmt: skip
    newest = [BookedFill(*row) for row in rows[:RECORD_FILLS_MAX]]
    before = {fill.instrument_id: held.get(fill.instrument_id, Decimal(0)) for fill in newest}
    for fill in newest:
        before[fill.instrument_id] -= fill.quantity if fill.side == "buy" else -fill.quantity
    cut_off = len(newest) == RECORD_FILLS_MAX
    told = {key for key, quantity in before.items() if quantity == 0 or (cut_off and quantity > 0)}
    fills = [fill for fill in reversed(newest) if fill.instrument_id in told]
    return track_record(round_trips(fills, rule_id=rule_id, held_before=before))


# --- what breakers look at ----------------------------------------------------------------------


def running_sessions(portfolio_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Portfolio -> its running session; those without are absent."""
    running = TradingSession.objects.filter(
        portfolio_id__in=list(portfolio_ids), status__in=TradingSession.RUNNING
    )
    return dict(running.values_list("portfolio_id", "id"))


def running_portfolios() -> list[uuid.UUID]:
    running = TradingSession.objects.filter(status__in=TradingSession.RUNNING)
    return list(running.order_by("portfolio_id").values_list("portfolio_id", flat=True))


def losing_streaks(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How many closing trades in a row lost, of each portfolio given; 0 where the last one did not."""
    return {key: run.losses for key, run in losing_runs(portfolio_ids).items()}


def losing_runs(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, LosingRun]:
    """The same with the trade that lost last. One query, whose cost is the streak's length, not the history's.

    A closing trade is a sell that is filled; it lost when what it realised is less than its fee. One that did not
    ends the streak, and so does a risk officer who releases the streak's breaker: what was lost before is judged.
    """
    runs = dict.fromkeys(portfolio_ids, LosingRun())
    with connection.cursor() as cursor:
        cursor.execute(_LOSING_RUNS, [list(runs)])
        return runs | {key: LosingRun(losses, last) for key, losses, last in cursor.fetchall()}


_LOSING_RUNS = """
    SELECT wanted.id, count(*), (array_agg(lost.id ORDER BY lost.executed_at, lost.updated_at, lost.id))[count(*)]
    FROM unnest(%s::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(released_at), '-infinity') AS at FROM trading_halt
        WHERE armed_by_breaker = 'losing_streak' AND scope = 'portfolio' AND scope_id = wanted.id::text
    ) AS released
    LEFT JOIN LATERAL (
        SELECT executed_at, updated_at, id FROM auto_trades
        WHERE portfolio_id = wanted.id AND trade_type = 'sell' AND status = 'filled' AND realised_pnl >= fees
        ORDER BY executed_at DESC, updated_at DESC, id DESC LIMIT 1
    ) AS won ON true
    CROSS JOIN LATERAL (
        SELECT id, executed_at, updated_at FROM auto_trades
        WHERE portfolio_id = wanted.id AND trade_type = 'sell' AND status = 'filled' AND realised_pnl < fees
          AND (executed_at, updated_at, id) > (
              coalesce(won.executed_at, '-infinity'), coalesce(won.updated_at, '-infinity'),
              coalesce(won.id, '00000000-0000-0000-0000-000000000000'))
          AND updated_at > released.at
    ) AS lost
    GROUP BY wanted.id
"""


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
    """Portfolios that hold something and are not evaluated: no session of theirs is active or paused."""
    evaluated = TradingSession.objects.filter(
        portfolio_id=OuterRef("portfolio_id"),
        status__in=[TradingSession.Status.ACTIVE, TradingSession.Status.PAUSED],
    )
    held = Position.objects.filter(~Exists(evaluated), quantity__gt=0)
    return list(held.order_by("portfolio_id").values_list("portfolio_id", flat=True).distinct())
