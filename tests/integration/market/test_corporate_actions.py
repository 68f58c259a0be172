"""What companies do to their shares, recorded once."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Entry
from market.models import CorporateAction
from market.selectors import latest_splits
from market.services.corporate_actions import NewCorporateAction, record, withdraw
from tests.harness.trading import Market

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
D = Decimal
EX = datetime(2010, 3, 2, 14, 30, tzinfo=UTC)
DIVIDEND: dict[str, Any] = {
    "external_id": "d", "symbol": "AAA", "kind": "dividend", "ex_at": EX, "amount": D("0.24"),
}  # fmt: skip
SPLIT: dict[str, Any] = {
    "external_id": "s", "symbol": "AAA", "kind": "split", "ex_at": EX, "new_units": 3, "old_units": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def market() -> Market:
    made = Market()
    made.tick()
    return made


def tell(base: dict[str, Any], **other: Any) -> tuple[CorporateAction, bool]:
    return record(NewCorporateAction(**(base | other)), actor=None)


def test_the_same_fact_is_stored_once() -> None:
    first, is_new = tell(DIVIDEND)
    assert is_new
    assert tell(DIVIDEND) == (first, False)
    (event,) = Entry.objects.filter(stream_id=PLATFORM_STREAM, kind="corporate_action.recorded")
    assert '"external_id":"d"' in event.payload


@pytest.mark.parametrize(
    ("base", "other", "path"),
    [
        (DIVIDEND, {"amount": D("0.25")}, "amount"),
        (DIVIDEND, {"symbol": "BBB"}, "symbol"),
        (DIVIDEND, {"ex_at": EX + timedelta(seconds=1)}, "ex_at"),
        (SPLIT, {"new_units": 4}, "new_units"),
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(
    base: dict[str, Any], other: dict[str, Any], path: str
) -> None:
    tell(base)
    with pytest.raises(Conflict) as caught:
        tell(base, **other)
    assert [row["path"] for row in caught.value.errors or []] == [path]
    assert CorporateAction.objects.count() == 1


def test_a_price_may_be_added_but_not_changed() -> None:
    """And it is known who added it, for it decides about money."""
    tell(SPLIT)
    steffi = get_user_model().objects.create_user("steffi", is_staff=True)
    priced, _ = record(NewCorporateAction(**SPLIT, cash_in_lieu_price=D(34)), actor=steffi)
    assert priced.cash_in_lieu_price == 34
    assert tell(SPLIT)[1] is False
    (event,) = Entry.objects.filter(stream_id=PLATFORM_STREAM, kind="corporate_action.priced")
    assert '"actor":"steffi"' in event.payload and '"cash_in_lieu_price":"34' in event.payload
    with pytest.raises(Conflict, match="cash_in_lieu_price"):
        tell(SPLIT, cash_in_lieu_price=D(35))


@pytest.mark.parametrize(
    ("base", "other", "path"),
    [
        (DIVIDEND, {"symbol": "NONE"}, "symbol"),
        (DIVIDEND, {"external_id": ""}, "external_id"),
        (DIVIDEND, {"external_id": "x" * 201}, "external_id"),
        (DIVIDEND, {"kind": "merger"}, "kind"),
        (DIVIDEND, {"ex_at": EX.replace(tzinfo=None)}, "ex_at"),
        (DIVIDEND, {"amount": None}, "amount"),
        (DIVIDEND, {"amount": D(0)}, "amount"),
        (DIVIDEND, {"amount": D("NaN")}, "amount"),
        (DIVIDEND, {"amount": D("0.000000001")}, "amount"),
        (DIVIDEND, {"amount": D(10**12)}, "amount"),
        (DIVIDEND, {"new_units": 2}, "new_units"),
        (SPLIT, {"new_units": None}, "new_units"),
        (SPLIT, {"old_units": 0}, "old_units"),
        (SPLIT, {"old_units": 10**6 + 1}, "old_units"),
        (SPLIT, {"new_units": 2}, "new_units"),
        (SPLIT, {"amount": D(1)}, "amount"),
        (SPLIT, {"cash_in_lieu_price": D(-1)}, "cash_in_lieu_price"),
    ],
)
def test_nonsense_is_refused_by_name(base: dict[str, Any], other: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tell(base, **other)
    assert path in {row["path"] for row in caught.value.errors or []}
    assert not CorporateAction.objects.exists()


def test_one_split_told_under_two_ids_is_refused() -> None:
    tell(SPLIT)
    with pytest.raises(Conflict, match="recorded already"):
        tell(SPLIT, external_id="another source")


def test_a_split_before_what_is_in_force_already_is_refused(market: Market) -> None:
    tell(DIVIDEND, ex_at=market.as_of)
    before = market.as_of - timedelta(seconds=1)
    with pytest.raises(Conflict, match="in force already"):
        tell(SPLIT, ex_at=before)
    assert tell(DIVIDEND, external_id="late", ex_at=before)[1]
    assert tell(SPLIT, ex_at=market.as_of)[1]


def take_back(action: CorporateAction, reason: str = "A typo") -> CorporateAction:
    return withdraw(action_id=action.id, actor=None, reason=reason)


def test_a_withdrawn_split_makes_room_for_the_right_one() -> None:
    wrong, _ = tell(SPLIT, new_units=20)
    with pytest.raises(Conflict, match="withdraw it first"):
        tell(SPLIT, external_id="right")
    take_back(wrong)
    assert tell(SPLIT, external_id="right")[1]
    (event,) = Entry.objects.filter(stream_id=PLATFORM_STREAM, kind="corporate_action.withdrawn")
    assert '"reason":"A typo"' in event.payload and '"actor":"system"' in event.payload


def test_told_again_what_was_withdrawn_is_a_conflict() -> None:
    """A source that repeats its mistake does not bring it back."""
    take_back(tell(DIVIDEND)[0])
    with pytest.raises(Conflict, match="withdrawn") as caught:
        tell(DIVIDEND)
    assert [row["path"] for row in caught.value.errors or []] == ["external_id"]


def test_it_is_withdrawn_once_and_with_a_reason() -> None:
    action, _ = tell(DIVIDEND)
    for reason in ("", "  ", "x" * 201):
        with pytest.raises(InvalidInput, match="reason"):
            take_back(action, reason)
    take_back(action, "x" * 200)
    with pytest.raises(Conflict, match="already"):
        take_back(action)
    with pytest.raises(NotFound):
        withdraw(action_id=uuid.uuid4(), actor=None, reason="x")


def test_a_late_split_is_recorded_after_what_it_precedes_is_withdrawn(market: Market) -> None:
    """The cure that its refusal names."""
    dividend, _ = tell(DIVIDEND, ex_at=market.as_of)
    before = market.as_of - timedelta(seconds=1)
    with pytest.raises(Conflict, match="Withdraw that one"):
        tell(SPLIT, ex_at=before)
    take_back(dividend)
    assert tell(SPLIT, ex_at=before)[1]
    assert tell(DIVIDEND, external_id="anew", ex_at=market.as_of)[1]


def test_a_withdrawn_split_is_no_split_of_the_prices() -> None:
    action, _ = tell(SPLIT)
    wanted: dict[str, Any] = {
        "instrument_ids": [action.instrument_id], "after": EX - timedelta(days=1), "until": EX,
    }  # fmt: skip
    assert latest_splits(**wanted) == {action.instrument_id: EX}
    take_back(action)
    assert latest_splits(**wanted) == {}


def test_the_database_knows_what_belongs_to_which_kind() -> None:
    action, _ = tell(DIVIDEND)
    wrongs: list[dict[str, Any]] = [
        {"amount": None},
        {"new_units": 2, "old_units": 1},
        {"kind": "split"},
        {"kind": "split", "amount": None},
        {"kind": "split", "amount": None, "new_units": 2},
        {"kind": "split", "amount": None, "new_units": 2, "old_units": 2},
        {"external_id": ""},
    ]
    for wrong in wrongs:
        with pytest.raises(IntegrityError), transaction.atomic():
            CorporateAction.objects.filter(pk=action.pk).update(**wrong)
