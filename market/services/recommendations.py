"""Storing advice: pushed by a source's own user, or recorded by a model that is built in."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from market.core.plausibility import FUTURE
from market.core.recommendation import CLASS_NAMES, RecommendationItem, RecommendationService
from market.models import TOO_LARGE, Instrument, Recommendation, RecommendationSource
from market.selectors import close_after, market_now
from market.services.feed_delay import feed_delay
from market.services.outcomes import expect_outcomes

log = structlog.get_logger(__name__)

ITEMS_MAX = 1_000
EXTERNAL_ID_LENGTH_MAX = 200
MODEL_VERSION_LENGTH_MAX = 100
DEFAULT_VALIDITY_SESSIONS = 1
PRICE_PLACES = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class PushResult:
    """Ids of the rows, each in the order of the items."""

    created: tuple[uuid.UUID, ...]
    existing: tuple[uuid.UUID, ...]


def push(*, source: str, items: Sequence[RecommendationItem], actor: User) -> PushResult:
    """Store a source's advice, all or nothing, idempotent by (source, external id).

    The same id with the same content counts as existing (a retry whose omitted times are filled in later is
    still the same). Raises NotFound (no such source), Forbidden (the actor is neither its pusher nor a
    superuser), InvalidInput (with a path for each error), Conflict (a known id with other content),
    Unavailable (there is no market time yet).
    """
    known = RecommendationSource.objects.filter(name=source).first()
    if known is None:
        raise NotFound(f"There is no recommendation source {source!r}.")
    if not actor.is_active or not (actor.is_superuser or known.pusher_id == actor.pk):
        raise Forbidden(f"Only the pusher of {source!r} may push its recommendations.")
    result = _store(source=known, items=items)
    log.debug(
        "recommendations_pushed",
        source=source,
        actor=actor.get_username(),
        created=len(result.created),
        existing=len(result.existing),
    )
    return result


def record(
    *, source: str, description: str, items: Sequence[RecommendationItem], now: datetime | None = None
) -> PushResult:
    """The same for a model of this installation; makes its source if need be. Refuses a source that has a
    pusher. `now`: the market time by which the caller has chosen; None: the present one.
    """
    known, _ = RecommendationSource.objects.get_or_create(name=source, defaults={"description": description})
    if known.pusher_id is not None:
        raise Forbidden(f"{source!r} is pushed by a user; a built-in model needs a source of its own.")
    return _store(source=known, items=items, now=now)


def consult(service: RecommendationService, *, description: str = "") -> int:
    """Ask a service and store what it advises, in parts that can be stored at once; returns how many were new.

    Nothing is asked before the market has a time. No transaction is open while it answers. What is over already and
    says no time since when it held is left out: lists keep old advice for a while. Raises what the service raises, and
    what `record` does.
    """
    now = market_now()
    if now is None:
        return 0
    advised = service.advice(now)
    now = market_now() or now  # time went on while it answered
    items = [item for item in advised if item.as_of is not None or not _is_over(item, now)]
    return sum(
        len(
            record(
                source=service.name, description=description, items=items[start : start + ITEMS_MAX], now=now
            ).created
        )
        for start in range(0, len(items), ITEMS_MAX)
    )


def _is_over(item: RecommendationItem, now: datetime) -> bool:
    expires_at = item.expires_at
    return expires_at is not None and expires_at.tzinfo is not None and expires_at <= now


@transaction.atomic
def _store(
    *, source: RecommendationSource, items: Sequence[RecommendationItem], now: datetime | None = None
) -> PushResult:
    now = now or market_now()
    if now is None:
        raise Unavailable("The market has no time yet: nothing was published. Try again in a moment.")
    items = _with_stored_times(source, items, now)
    rows = _validated(source=source, items=items, now=now)
    Recommendation.objects.bulk_create(rows, ignore_conflicts=True)
    stored = {
        row.external_id: row
        for row in Recommendation.objects.filter(
            source=source, external_id__in=[row.external_id for row in rows]
        )
    }
    created, existing, errors = [], [], []
    for position, (item, row) in enumerate(zip(items, rows, strict=True)):
        present = stored[row.external_id]
        if present.pk == row.pk:
            created.append(row.pk)
        elif _same(item, row, present):
            existing.append(present.pk)
        else:
            errors.append(
                _error(
                    position, "external_id", f"{row.external_id!r} is already stored with other content", None
                )
            )
    if errors:
        raise Conflict(
            f"{len(errors)} of {len(rows)} external ids are known with other content; nothing was stored.",
            errors=errors,
        )
    if created:
        new = set(created)
        expect_outcomes([row for row in rows if row.pk in new], now=now)
        # In the same transaction as the rows, so that whoever sees the revision sees them.
        RecommendationSource.objects.filter(pk=source.pk).update(revision=F("revision") + 1)
    return PushResult(created=tuple(created), existing=tuple(existing))


def _with_stored_times(
    source: RecommendationSource, items: Sequence[RecommendationItem], now: datetime
) -> Sequence[RecommendationItem]:
    """What is over and comes once more without a time holds since it came first, and is no error."""
    asked = [item.external_id for item in items if item.as_of is None and _is_over(item, now)]
    if not asked:
        return items
    rows = Recommendation.objects.filter(source=source, external_id__in=asked[: ITEMS_MAX + 1])
    since = dict(rows.values_list("external_id", "as_of"))
    return [
        replace(item, as_of=since[item.external_id])
        if item.as_of is None and _is_over(item, now) and item.external_id in since
        else item
        for item in items
    ]


def _same(item: RecommendationItem, row: Recommendation, present: Recommendation) -> bool:
    fields = [
        "instrument_id",
        "recommendation",
        "confidence",
        "expected_return_percentage",
        "target_price",
        "stop_price",
        "model_version",
    ]
    # A time that was left to us differs from one try to the next without the content being another.
    fields += [name for name in ("as_of", "expires_at") if getattr(item, name) is not None]
    return all(getattr(row, name) == getattr(present, name) for name in fields)


def _error(position: int, field: str, message: str, suggestion: str | None) -> dict[str, Any]:
    error: dict[str, Any] = {"path": f"items[{position}].{field}", "message": message}
    if suggestion is not None:
        error["suggestion"] = suggestion
    return error


def _validated(
    *, source: RecommendationSource, items: Sequence[RecommendationItem], now: datetime
) -> list[Recommendation]:
    if not items:
        raise InvalidInput(
            "There is no recommendation in items.", errors=[{"path": "items", "message": "is empty"}]
        )
    if len(items) > ITEMS_MAX:
        message = f"has {len(items)} entries, at most {ITEMS_MAX} are taken at once"
        raise InvalidInput(f"items {message}.", errors=[{"path": "items", "message": message}])
    symbols = {item.symbol for item in items}
    instruments = {
        row.symbol: row
        for row in Instrument.objects.filter(symbol__in=symbols | {symbol.upper() for symbol in symbols})
    }
    errors = [
        error
        for position, item in enumerate(items)
        for error in _item_errors(position, item, instruments, now)
    ]
    first_use: dict[str, int] = {}
    for position, item in enumerate(items):
        first = first_use.setdefault(item.external_id, position)
        if first != position:
            errors.append(_error(position, "external_id", f"is the same as in items[{first}]", None))
    if errors:
        raise InvalidInput(f"{len(errors)} errors in the recommendations; none was stored.", errors=errors)
    default_expiry: dict[tuple[str, datetime], datetime] = {}
    return [_row(source, item, instruments[item.symbol], now, default_expiry) for item in items]


def _row(
    source: RecommendationSource,
    item: RecommendationItem,
    instrument: Instrument,
    now: datetime,
    default_expiry: dict[tuple[str, datetime], datetime],
) -> Recommendation:
    as_of = item.as_of if item.as_of is not None else now
    expires_at = item.expires_at
    if expires_at is None:
        key = (instrument.exchange_id, as_of)
        if key not in default_expiry:
            default_expiry[key] = close_after(
                exchange=instrument.exchange_id, moment=as_of, sessions=DEFAULT_VALIDITY_SESSIONS
            )
        expires_at = default_expiry[key]
    return Recommendation(
        source=source,
        external_id=item.external_id,
        instrument=instrument,
        recommendation=item.recommendation,
        confidence=float(item.confidence),
        expected_return_percentage=item.expected_return_percentage,
        target_price=item.target_price.quantize(PRICE_PLACES) if item.target_price is not None else None,
        stop_price=item.stop_price.quantize(PRICE_PLACES) if item.stop_price is not None else None,
        as_of=as_of,
        expires_at=expires_at,
        model_version=item.model_version,
    )


def _item_errors(
    position: int, item: RecommendationItem, instruments: dict[str, Instrument], now: datetime
) -> list[dict[str, Any]]:
    errors = []

    def refuse(field: str, message: str, suggestion: str | None = None) -> None:
        errors.append(_error(position, field, message, suggestion))

    if not 0 < len(item.external_id) <= EXTERNAL_ID_LENGTH_MAX:
        refuse("external_id", f"must have 1 to {EXTERNAL_ID_LENGTH_MAX} characters")
    if item.symbol not in instruments:
        upper = item.symbol.upper()
        refuse(
            "symbol",
            f"{item.symbol!r} is not known here",
            f"did you mean {upper}?" if upper in instruments else None,
        )
    if item.recommendation not in CLASS_NAMES:
        refuse(
            "recommendation", f"{item.recommendation!r} is not a class", f"one of {', '.join(CLASS_NAMES)}"
        )
    if not (math.isfinite(item.confidence) and 0.0 <= item.confidence <= 1.0):
        refuse("confidence", "must be between 0 and 1", "a probability: 0.85, not 85")
    expected = item.expected_return_percentage
    if expected is not None and not (math.isfinite(expected) and -100.0 <= expected <= 10_000.0):
        refuse("expected_return_percentage", "must be between -100 and 10000 percent")
    for field, price in (("target_price", item.target_price), ("stop_price", item.stop_price)):
        if price is not None and not (price.is_finite() and PRICE_PLACES <= price < TOO_LARGE):
            refuse(field, "must be a positive price")
    if len(item.model_version) > MODEL_VERSION_LENGTH_MAX:
        refuse("model_version", f"must have at most {MODEL_VERSION_LENGTH_MAX} characters")
    errors += _time_errors(position, item, now)
    return errors


def _time_errors(position: int, item: RecommendationItem, now: datetime) -> list[dict[str, Any]]:
    """Market time is a little behind the clock by which a service stamps its answers: the newest quote is of before.
    What is stamped so counts from its time on, and nobody sees it earlier."""
    naive = [
        _error(position, name, "must have a time zone", "market time in UTC, like 2004-01-02T21:00:00Z")
        for name in ("as_of", "expires_at")
        if (value := getattr(item, name)) is not None and value.tzinfo is None
    ]
    if naive:
        return naive
    errors = []
    as_of = item.as_of if item.as_of is not None else now
    if as_of > now + FUTURE + feed_delay():
        errors.append(
            _error(
                position, "as_of", f"lies in the market's future; its time is {now.isoformat()}", "omit as_of"
            )
        )
    if item.expires_at is not None and item.expires_at <= as_of:
        errors.append(_error(position, "expires_at", f"must be after as_of ({as_of.isoformat()})", None))
    return errors
