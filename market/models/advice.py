"""What is advised, by whom, and what became of it. Prices are NUMERIC(20, 8); `as_of` and `at` are market time."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from market.core.recommendation import CLASS_NAMES
from market.models.tables import TOO_LARGE, Instrument, price_column


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
    target_price = price_column(null=True, blank=True)
    stop_price = price_column(null=True, blank=True)
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


class RecommendationOutcome(models.Model):
    """What became of one piece of advice: waiting until the first bar at or after `due_at`, then settled once.

    It is measured from the price that was known when the advice was stored, so that nobody gains by telling
    afterwards what he had advised.
    """

    recommendation = models.OneToOneField(
        Recommendation, on_delete=models.CASCADE, primary_key=True, related_name="outcome"
    )
    reference_price = price_column()
    reference_at = models.DateTimeField(help_text="market time of that price")
    due_at = models.DateTimeField(help_text="market time at which the advice expires")
    at = models.DateTimeField(null=True, blank=True, help_text="market time of the bar that settled it")
    price = price_column(null=True, blank=True)
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


class RecommenderModel(models.Model):
    """What the built-in model learned at a market time, as numbers; or that it learned nothing. Never changed."""

    version = models.CharField(max_length=100, primary_key=True)
    trained_at = models.DateTimeField(db_default=Now(), help_text="database time")
    trained_through = models.DateTimeField(help_text="market time of the newest bar that it knows")
    parameters = models.JSONField(
        null=True, help_text="see market/core/model.py; empty: too little to learn from"
    )
    metrics = models.JSONField(default=dict, help_text="see market/learning.py")
    in_use = models.BooleanField(help_text="whether it was better than the base rate on days it had not seen")

    class Meta:
        indexes = [models.Index(fields=["-trained_through"], name="market_model_newest")]
        constraints = [
            models.CheckConstraint(
                condition=Q(in_use=False) | Q(parameters__isnull=False),
                name="market_model_in_use_has_parameters",
            ),
        ]

    def __str__(self) -> str:
        return self.version
