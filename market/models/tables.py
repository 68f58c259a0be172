"""Tables of the market room. Prices are NUMERIC(20, 8); `as_of`, `at` and `market_time` are market time."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Least, Now

from market.core.recommendation import CLASS_NAMES

# PostgreSQL's NUMERIC knows NaN and sorts it above all numbers: an upper bound keeps it out.
TOO_LARGE = Decimal(10) ** 12
TAG_LENGTH_MAX = 32


def _price(*, null: bool = False, blank: bool = False) -> models.DecimalField:
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
    tick_size = _price()
    lot_size = _price()
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
    open = _price()
    high = _price()
    low = _price()
    close = _price()
    volume = _volume()

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
    bid = _price()
    ask = _price()
    last = _price()
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

    def __str__(self) -> str:
        return f"{self.version} {self.as_of:%Y-%m-%d %H:%M}"


class RecommendationSource(models.Model):
    """Who recommends. Only its pusher (or a superuser) may push; a source without one is built in."""

    name = models.SlugField(max_length=50, primary_key=True)
    description = models.TextField(blank=True)
    pusher = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="recommendation_sources",
    )
    # The default is the database's too: a process that does not know the column may add sources.
    revision = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="moves with whatever is stored of it: advice and settled outcomes",
    )

    def __str__(self) -> str:
        return self.name


class Recommendation(models.Model):
    """Advice on one instrument, from `as_of` until `expires_at` in market time. Never changed once stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(
        RecommendationSource, on_delete=models.PROTECT, related_name="recommendations", db_index=False
    )
    external_id = models.CharField(
        max_length=200, help_text="the source's own id: pushing it twice stores it once"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="recommendations")
    recommendation = models.CharField(max_length=11, choices=[(name, name) for name in CLASS_NAMES])
    confidence = models.FloatField(help_text="0..1")
    expected_return_percentage = models.FloatField(null=True, blank=True)
    target_price = _price(null=True, blank=True)
    stop_price = _price(null=True, blank=True)
    as_of = models.DateTimeField()
    expires_at = models.DateTimeField()
    model_version = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(db_default=Now(), help_text="database time")

    class Meta:
        indexes = [
            # The newest advice of each source and instrument is read for every snapshot.
            models.Index(
                fields=["source", "instrument", "-as_of", "-created_at"], name="market_recommendation_newest"
            ),
            models.Index(fields=["-as_of"], name="market_recommendation_as_of"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="market_recommendation_once"),
            models.CheckConstraint(
                condition=Q(recommendation__in=list(CLASS_NAMES)), name="market_recommendation_known_class"
            ),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1),
                name="market_recommendation_confidence_range",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("as_of")), name="market_recommendation_expires_later"
            ),
            models.CheckConstraint(
                condition=Q(expected_return_percentage__isnull=True)
                | Q(expected_return_percentage__gte=-100, expected_return_percentage__lte=10_000),
                name="market_recommendation_return_range",
            ),
            models.CheckConstraint(
                condition=(Q(target_price__isnull=True) | Q(target_price__gt=0, target_price__lt=TOO_LARGE))
                & (Q(stop_price__isnull=True) | Q(stop_price__gt=0, stop_price__lt=TOO_LARGE)),
                name="market_recommendation_prices_positive",
            ),
            models.CheckConstraint(
                condition=~Q(external_id=""), name="market_recommendation_has_external_id"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.recommendation} {self.instrument_id}"


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


class RecommendationOutcome(models.Model):
    """What became of one piece of advice: waiting until the first bar at or after `due_at`, then settled once.

    It is measured from the price that was known when the advice was stored, so that nobody gains by telling
    afterwards what he had advised.
    """

    recommendation = models.OneToOneField(
        Recommendation, on_delete=models.CASCADE, primary_key=True, related_name="outcome"
    )
    reference_price = _price()
    reference_at = models.DateTimeField(help_text="market time of that price")
    due_at = models.DateTimeField(help_text="market time at which the advice expires")
    at = models.DateTimeField(null=True, blank=True, help_text="market time of the bar that settled it")
    price = _price(null=True, blank=True)
    return_percentage = models.FloatField(
        null=True, blank=True, help_text="of the holder of one unit: splits and dividends included"
    )
    hit = models.BooleanField(null=True, blank=True, help_text="unknown for HOLD, and while it waits")

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(at=None), name="market_outcome_waiting"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(reference_price__gt=0, reference_price__lt=TOO_LARGE),
                name="market_outcome_reference_positive",
            ),
            models.CheckConstraint(
                condition=Q(at=None, price=None, return_percentage=None, hit=None)
                | Q(
                    at__isnull=False,
                    at__gte=F("due_at"),
                    price__isnull=False,
                    price__gt=0,
                    return_percentage__isnull=False,
                ),
                name="market_outcome_settled_at_once",
            ),
        ]

    def __str__(self) -> str:
        return f"outcome of {self.recommendation_id}"


class SourceScore(models.Model):
    """Settled outcomes of a source, added up by day, class and tenth of confidence: what its calibration is told
    from, however many there are.
    """

    source = models.ForeignKey(
        RecommendationSource, on_delete=models.CASCADE, related_name="scores", db_index=False
    )
    day = models.DateField(help_text="market date (UTC) on which the outcomes were settled")
    recommendation = models.CharField(max_length=11, choices=[(name, name) for name in CLASS_NAMES])
    bin = models.PositiveSmallIntegerField(help_text="tenth of the confidence, 0 to 9")
    count = models.PositiveIntegerField()
    hits = models.PositiveIntegerField()
    sum_confidence = models.FloatField()
    sum_squared_error = models.FloatField(help_text="of confidence against hit: the Brier score's sum")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "day", "recommendation", "bin"], name="market_source_score_once"
            ),
            models.CheckConstraint(condition=Q(bin__lte=9), name="market_source_score_bin"),
            models.CheckConstraint(condition=Q(hits__lte=F("count")), name="market_source_score_hits"),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.day} {self.recommendation} {self.bin}"


class RecommendationPull(models.Model):
    """That a source is asked, and when next: a service elsewhere, by HTTP. `next_at` is database time."""

    source = models.OneToOneField(
        RecommendationSource, on_delete=models.CASCADE, primary_key=True, related_name="pull"
    )
    url = models.CharField(max_length=500)
    every_seconds = models.PositiveIntegerField()
    enabled = models.BooleanField(default=True)
    sealed_token = models.BinaryField(null=True, editable=False)
    sealing_key = models.CharField(max_length=16, blank=True, editable=False)
    etag = models.CharField(max_length=200, blank=True, editable=False)
    last_modified = models.CharField(max_length=200, blank=True, editable=False)
    next_at = models.DateTimeField(db_default=Now(), help_text="database time; while it is asked, its lease")
    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    last_error = models.CharField(max_length=500, blank=True)
    last_pulled_at = models.DateTimeField(null=True, blank=True, help_text="database time of the last answer")

    class Meta:
        indexes = [models.Index(fields=["next_at"], condition=Q(enabled=True), name="market_pull_due")]
        constraints = [
            models.CheckConstraint(
                condition=Q(every_seconds__gte=10, every_seconds__lte=86_400), name="market_pull_every"
            ),
            models.CheckConstraint(
                condition=Q(sealed_token=None, sealing_key="")
                | Q(Q(sealed_token__isnull=False), ~Q(sealing_key="")),
                name="market_pull_token_has_its_key",
            ),
        ]

    def __str__(self) -> str:
        return f"pull of {self.source_id}"
