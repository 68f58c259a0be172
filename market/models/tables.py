"""Tables of the market room. Prices are NUMERIC(20, 8); `as_of`, `at` and `market_time` are market time."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Least, Now

# PostgreSQL's NUMERIC knows NaN and sorts it above all numbers: an upper bound keeps it out.
TOO_LARGE = Decimal(10) ** 12
TAG_LENGTH_MAX = 32


def price_column(*, null: bool = False, blank: bool = False) -> models.DecimalField:
    return models.DecimalField(max_digits=20, decimal_places=8, null=null, blank=blank)


def _volume() -> models.DecimalField:
    return models.DecimalField(max_digits=20, decimal_places=4)


class Exchange(models.Model):
    code = models.CharField(max_length=8, primary_key=True, help_text="market identifier code (ISO 10383)")
    name = models.CharField(max_length=100)
    timezone = models.CharField(max_length=64, help_text="IANA name")

    def __str__(self) -> str:
        return self.code


class CalendarDay(models.Model):
    """One session of an exchange. A day without a row is not known to be one."""

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="calendar_days")
    day = models.DateField(help_text="the exchange's local date")
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "day"], name="market_calendar_day_once"),
            models.CheckConstraint(
                condition=Q(closes_at__gt=F("opens_at")), name="market_calendar_closes_after_opening"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exchange_id} {self.day}"


class Instrument(models.Model):
    symbol = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="instruments")
    sector = models.CharField(max_length=100, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    tick_size = price_column()
    lot_size = price_column()
    is_active = models.BooleanField(default=True, help_text="whether the feed carries it")
    tags = ArrayField(
        models.CharField(max_length=TAG_LENGTH_MAX),
        default=list,
        db_default=[],
        help_text="what staff sorts it under; a session's universe may name them",
    )

    class Meta:
        indexes = [GinIndex(fields=["tags"], name="market_instrument_tags")]
        constraints = [
            models.CheckConstraint(
                condition=Q(tick_size__gt=0, tick_size__lt=TOO_LARGE), name="market_instrument_tick_positive"
            ),
            models.CheckConstraint(
                condition=Q(lot_size__gt=0, lot_size__lt=TOO_LARGE), name="market_instrument_lot_positive"
            ),
            models.CheckConstraint(condition=~Q(symbol=""), name="market_instrument_has_symbol"),
        ]

    def __str__(self) -> str:
        return self.symbol


class Bar(models.Model):
    """A completed bar. Rows appear when the feed completes them, so nobody can look into the future."""

    class Interval(models.TextChoices):
        DAY = "1d", "1 day"

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="bars", db_index=False)
    interval = models.CharField(max_length=4, choices=Interval, default=Interval.DAY)
    at = models.DateTimeField(help_text="market time of its close")
    open = price_column()
    high = price_column()
    low = price_column()
    close = price_column()
    volume = _volume()
    basis = models.DateTimeField(
        null=True,
        help_text="market time: splits and dividends until then are in the prices already; empty: those until `at`",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "interval", "at"], name="market_bar_once"),
            models.CheckConstraint(condition=Q(interval="1d"), name="market_bar_known_interval"),
            models.CheckConstraint(
                condition=Q(low__gt=0, high__lt=TOO_LARGE), name="market_bar_prices_positive"
            ),
            models.CheckConstraint(
                condition=Q(high__gte=Greatest(F("open"), F("close"), F("low"))),
                name="market_bar_high_is_highest",
            ),
            models.CheckConstraint(
                condition=Q(low__lte=Least(F("open"), F("close"))), name="market_bar_low_is_lowest"
            ),
            models.CheckConstraint(condition=Q(volume__gte=0), name="market_bar_volume_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.interval} {self.at:%Y-%m-%d %H:%M}"


class Quote(models.Model):
    """The newest quote of an instrument."""

    instrument = models.OneToOneField(
        Instrument, on_delete=models.PROTECT, primary_key=True, related_name="quote"
    )
    bid = price_column()
    ask = price_column()
    last = price_column()
    volume = _volume()
    market_time = models.DateTimeField()
    received_at = models.DateTimeField(help_text="database time")
    # The default is the database's too: a feed that does not know the column may add quotes.
    halted = models.BooleanField(
        default=False, db_default=False, help_text="whether the exchange has halted its trading"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(bid__gt=0, last__gt=0, ask__lt=TOO_LARGE, last__lt=TOO_LARGE),
                name="market_quote_prices_positive",
            ),
            models.CheckConstraint(condition=Q(bid__lte=F("ask")), name="market_quote_not_crossed"),
            models.CheckConstraint(condition=Q(volume__gte=0), name="market_quote_volume_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.bid}/{self.ask}"


class Snapshot(models.Model):
    """One market for everybody under one gapless version; `payload` is `market.core.snapshot.encode`d."""

    version = models.BigIntegerField(primary_key=True)
    as_of = models.DateTimeField(help_text="market time; never goes back")
    published_at = models.DateTimeField(db_default=Now(), db_index=True, help_text="database time")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the payload: names it in caches")
    payload = models.BinaryField()

    class Meta:
        db_table = "market_snapshots"
        constraints = [
            models.CheckConstraint(condition=Q(version__gt=0), name="market_snapshot_version_positive"),
        ]
        indexes = [models.Index(fields=["as_of", "version"], name="market_snapshot_as_of")]

    def __str__(self) -> str:
        return f"{self.version} {self.as_of:%Y-%m-%d %H:%M}"


class CorporateAction(models.Model):
    """What a company does to its shares, as a fact of the market: who holds it is booked by the portfolios' room.

    Never changed once stored, but that a cash-in-lieu price which was not known yet may be filled in, and that it
    may be withdrawn: it was recorded wrongly, and is booked for nobody any more.
    """

    class Kind(models.TextChoices):
        DIVIDEND = "dividend"
        SPLIT = "split"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    external_id = models.CharField(
        max_length=200, unique=True, help_text="the source's own id: recording it twice stores it once"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="corporate_actions")
    kind = models.CharField(max_length=20, choices=Kind)
    ex_at = models.DateTimeField(
        help_text="market time from which the price is without it: whoever held just before is entitled"
    )
    amount = models.DecimalField(
        max_digits=20, decimal_places=8, null=True, blank=True,
        help_text="of a dividend: currency for each unit held",
    )  # fmt: skip
    new_units = models.PositiveIntegerField(
        null=True, blank=True, help_text="of a split: 3 in a 3:2 split, 1 in a reverse split of 1:10"
    )
    old_units = models.PositiveIntegerField(null=True, blank=True, help_text="of a split: 2 in a 3:2 split")
    cash_in_lieu_price = models.DecimalField(
        max_digits=20, decimal_places=8, null=True, blank=True,
        help_text="of a split: currency for each new unit, paid for what is less than the lot",
    )  # fmt: skip
    created_at = models.DateTimeField(db_default=Now(), help_text="database time")
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="database time")
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["instrument", "ex_at"], name="market_corporate_action_ex")]
        constraints = [
            models.CheckConstraint(
                # A comparison with NULL is no refusal: what must be there is asked for by name.
                condition=Q(
                    kind="dividend", amount__isnull=False, amount__gt=0, amount__lt=TOO_LARGE, new_units=None,
                    old_units=None, cash_in_lieu_price=None,
                )
                | Q(
                    ~Q(new_units=F("old_units")), kind="split", amount=None, new_units__isnull=False,
                    new_units__gt=0, old_units__isnull=False, old_units__gt=0,
                ),
                name="market_corporate_action_fits_its_kind",
            ),
            models.UniqueConstraint(
                fields=["instrument", "ex_at"], condition=Q(kind="split", withdrawn_at=None),
                name="market_one_split_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(cash_in_lieu_price=None)
                | Q(cash_in_lieu_price__gt=0, cash_in_lieu_price__lt=TOO_LARGE),
                name="market_corporate_action_price_positive",
            ),
            models.CheckConstraint(
                condition=~Q(external_id=""), name="market_corporate_action_has_external_id"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        if self.kind == self.Kind.SPLIT:
            return f"{self.new_units}:{self.old_units} split of {self.instrument}"
        return f"dividend of {self.amount} on {self.instrument}"
