"""What the market's room tells the journal: of data, instruments, calendars and who recommends."""

from datetime import date, datetime
from decimal import Decimal
from typing import TypedDict
from uuid import UUID

from journal.core.kinds import PLATFORM, EventKind, register
from market.models import CorporateAction


class BarsImported(TypedDict):
    """`symbols` are the first 20 of `symbol_count`."""

    source: str
    actor: str
    bars: int
    symbols: list[str]
    symbol_count: int
    first_day: date
    last_day: date


class Quarantined(TypedDict):
    """`reasons` go with `symbols`, one for each."""

    provider: str
    symbols: list[str]
    reasons: list[str]


class SymbolLeftOut(TypedDict):
    """Told once a day (database time) of each active instrument that the provider cannot have."""

    provider: str
    symbol: str
    day: date


class InstrumentAdded(TypedDict):
    symbol: str
    name: str
    exchange_id: str
    sector: str
    currency: str
    tick_size: Decimal
    lot_size: Decimal
    actor: str


class InstrumentTagged(TypedDict):
    symbol: str
    tags: list[str]
    tags_before: list[str]
    actor: str


class RecommenderLearned(TypedDict):
    """How well the model would have foretold what it had not seen; `trained_through` is market time."""

    version: str
    trained_through: datetime
    observations: int
    days: int
    judged: int
    base_rate: float
    brier: float
    brier_of_base_rate: float
    skill: float
    log_loss: float
    log_loss_of_base_rate: float


class Source(TypedDict):
    source: str
    description: str
    pusher: str | None
    actor: str


class PullFailed(TypedDict):
    source: str
    failures: int
    reason: str


class PullSet(TypedDict):
    source: str
    host: str
    every_seconds: int
    enabled: bool
    has_token: bool
    actor: str


class PullRemoved(TypedDict):
    source: str
    actor: str


class CalendarLoaded(TypedDict):
    """How many days were added, changed and removed."""

    exchange: str
    added: int
    changed: int
    removed: int
    known_until: date
    actor: str


class CalendarEnding(TypedDict):
    """The last day that is known of each exchange; null: none at all."""

    exchanges: dict[str, date | None]


class CorporateActionRecorded(TypedDict):
    """`amount` is a dividend's, per unit; a split makes `new_units` of `old_units`."""

    corporate_action_id: UUID
    external_id: str
    symbol: str
    kind: CorporateAction.Kind
    ex_at: datetime
    amount: Decimal | None
    new_units: int | None
    old_units: int | None
    cash_in_lieu_price: Decimal | None
    actor: str


class CorporateActionWithdrawn(TypedDict):
    corporate_action_id: UUID
    external_id: str
    symbol: str
    kind: CorporateAction.Kind
    ex_at: datetime
    reason: str
    actor: str


class CorporateActionPriced(TypedDict):
    corporate_action_id: UUID
    external_id: str
    symbol: str
    cash_in_lieu_price: Decimal
    actor: str


class CorporateActionUnrecorded(TypedDict):
    external_id: str
    symbol: str
    ex_day: date
    amount: Decimal | None
    new_units: int | None
    old_units: int | None
    reason: str


class CorporateActionSourceFailed(TypedDict):
    """Told once a day of market time."""

    day: date
    reason: str


class Gap(TypedDict):
    symbol: str
    first_day: date
    last_day: date


class Gaps(TypedDict):
    """`gaps` are the first of `count`."""

    count: int
    gaps: list[Gap]


class FeedWasSilent(TypedDict):
    """From the last tick before to the first after it, in market time; of `seconds_of_hours` an exchange was open.
    `seconds_away` are the database's."""

    provider: str
    since: datetime
    until: datetime
    seconds_of_hours: int
    seconds_away: int


class ReplayFinished(TypedDict):
    """`as_of` is the market time at which it stands still, `version` that of the last snapshot."""

    provider: str
    as_of: datetime
    version: int


def kind(name: str, summary: str, payload: type) -> EventKind:
    return EventKind(name, summary, payload, PLATFORM)


register(
    kind("market.bars_imported", "Bars of the past were imported", BarsImported),
    kind("market.quarantined", "Market data was not believed and put aside", Quarantined),
    kind("market.symbol_left_out", "An active instrument has no prices at this provider", SymbolLeftOut),
    kind("market.instrument_added", "An instrument became known", InstrumentAdded),
    kind("market.calendar_loaded", "Trading days were added or changed", CalendarLoaded),
    kind("market.calendar_ending", "A calendar of trading days ends soon", CalendarEnding),
    kind("market.gap_found", "Bars are missing", Gaps),
    kind("market.gap_filled", "Bars that were missing are there", Gaps),
    kind("market.gap_stays_open", "Bars are missing for more than a day", Gaps),
    kind("market.feed_was_silent", "No market data came for a while within trading hours", FeedWasSilent),
    kind("market.replay_finished", "The replayed data ended: the market stands still", ReplayFinished),
    kind("instrument.tagged", "An instrument's tags were replaced", InstrumentTagged),
    kind("recommender.trained", "The built-in recommender learned, and is used", RecommenderLearned),
    kind("recommender.rejected", "The built-in recommender learned nothing worth using", RecommenderLearned),
    kind("recommendation_source.created", "A source of recommendations was made", Source),
    kind("recommendation_source.changed", "A source of recommendations was changed", Source),
    kind("recommendation_source.pull_set", "A source is asked for recommendations from now on", PullSet),
    kind("recommendation_source.pull_removed", "A source is not asked any more", PullRemoved),
    kind("recommendation_source.pull_failed", "A source that is asked gives nothing to use", PullFailed),
    kind("corporate_action.recorded", "A dividend or a split was recorded", CorporateActionRecorded),
    kind("corporate_action.withdrawn", "A corporate action was recorded wrongly", CorporateActionWithdrawn),
    kind(
        "corporate_action.unrecorded",
        "One was announced that could not be recorded",
        CorporateActionUnrecorded,
    ),
    kind(
        "corporate_action.source_failed", "Nobody tells of splits and dividends", CorporateActionSourceFailed
    ),
    kind("corporate_action.priced", "A split got its price for cash in lieu", CorporateActionPriced),
)
