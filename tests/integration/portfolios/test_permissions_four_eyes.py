"""Lists of instruments where four eyes are needed: one person tightens them, two loosen them."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction

from foundation.errors import Conflict, Forbidden, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, Entry
from market.models import Exchange, Instrument
from portfolios.models import InstrumentPermissionProposal, Portfolio
from portfolios.selectors import pending_permissions, permission_lists
from portfolios.services.permissions import (
    approve_permissions,
    reject_permissions,
    set_instrument_permissions,
)
from portfolios.services.portfolios import create_portfolio, set_four_eyes, set_member

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
START: dict[str, Any] = {"permitted": ["AAA", "BBB"], "restricted": {"CCC": "Compliance"}}


def user(name: str, **fields: Any) -> Any:
    return get_user_model().objects.create(username=name, **fields)


@pytest.fixture
def alice() -> Any:
    return user("alice")


@pytest.fixture
def bob() -> Any:
    return user("bob")


@pytest.fixture
def portfolio(alice: Any, bob: Any) -> Portfolio:
    """With lists from before four eyes were asked for."""
    exchange = Exchange.objects.create(code="XTST", name="Test", timezone="UTC")
    for symbol in ("AAA", "BBB", "CCC", "DDD"):
        Instrument.objects.create(symbol=symbol, name=symbol, exchange=exchange, tick_size=1, lot_size=1)
    made = create_portfolio(name="Savings", owner=alice)
    set_member(portfolio=made, user=bob, role="risk_officer", actor=alice)
    set_instrument_permissions(portfolio_id=made.id, actor=bob, **START)
    return set_four_eyes(portfolio_id=made.id, enabled=True, actor=alice)


def put(portfolio: Portfolio | None, actor: Any, **changes: Any) -> InstrumentPermissionProposal:
    portfolio_id = portfolio.id if portfolio else None
    return set_instrument_permissions(portfolio_id=portfolio_id, actor=actor, **(START | changes))


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, False),
        ({"restricted": {"CCC": "Another reason"}}, False),
        ({"restricted": {"CCC": "", "DDD": ""}}, False),  # one more restriction
        ({"permitted": ["AAA"]}, False),  # one permission less
        ({"permitted": []}, True),  # which permits all
        ({"permitted": ["AAA", "BBB", "DDD"]}, True),
        ({"permitted": ["AAA", "DDD"]}, True),  # one less and one more
        ({"restricted": {}}, True),
        ({"permitted": ["AAA"], "restricted": {}}, True),  # tighter and looser at once
        ({"restricted": {"DDD": ""}}, True),
    ],
)
def test_what_only_tightens_takes_effect_at_once(
    portfolio: Portfolio, alice: Any, changes: dict[str, Any], waits: bool
) -> None:
    assert put(portfolio, alice, **changes).approval == ("waiting" if waits else "not_needed")
    assert permission_lists(portfolio.id) == (START if waits else START | changes)


def test_a_list_where_there_was_none_only_tightens(portfolio: Portfolio, alice: Any, bob: Any) -> None:
    approve_permissions(proposal_id=put(portfolio, alice, permitted=[], restricted={}).id, actor=bob)
    assert put(portfolio, alice).approval == "not_needed"
    assert permission_lists(portfolio.id) == START


def test_another_person_puts_exactly_what_was_proposed_in_force(
    portfolio: Portfolio, alice: Any, bob: Any
) -> None:
    row = put(portfolio, alice, restricted={})
    assert list(pending_permissions()) == [row]
    with pytest.raises(Conflict) as refusal:
        approve_permissions(proposal_id=row.id, actor=alice)
    assert refusal.value.code == "four_eyes"
    assert approve_permissions(proposal_id=row.id, actor=bob).approval == "approved"
    assert permission_lists(portfolio.id) == START | {"restricted": {}}
    kinds = list(Entry.objects.filter(stream_id=portfolio.id).order_by("seq").values_list("kind", flat=True))
    assert kinds[-2:] == ["permissions.proposed", "permissions.approved"]
    assert Alert.objects.filter(kind__startswith="permissions.").count() == 2
    with pytest.raises(Conflict, match="approved already"):
        reject_permissions(proposal_id=row.id, actor=bob)


def test_who_may_not_decide(portfolio: Portfolio, alice: Any) -> None:
    row = put(portfolio, alice, restricted={})
    victor = user("victor")
    set_member(portfolio=portfolio, user=victor, role="viewer", actor=alice)
    for decide in (approve_permissions, reject_permissions):
        with pytest.raises(NotFound):
            decide(proposal_id=row.id, actor=user(f"charlie {decide.__name__}", is_staff=True))
        with pytest.raises(Forbidden):
            decide(proposal_id=row.id, actor=victor)
    assert reject_permissions(proposal_id=row.id, actor=alice).approval == "rejected", "she withdraws it"
    assert permission_lists(portfolio.id) == START


@pytest.mark.parametrize("newer", [{"restricted": {"CCC": "", "DDD": ""}}, {"permitted": []}])
def test_a_newer_change_replaces_what_waits(
    portfolio: Portfolio, alice: Any, bob: Any, newer: dict[str, Any]
) -> None:
    """Else an approval would take back what somebody has tightened meanwhile."""
    old = put(portfolio, alice, restricted={})
    put(portfolio, alice, **newer)
    now = permission_lists(portfolio.id)
    with pytest.raises(Conflict) as refusal:
        approve_permissions(proposal_id=old.id, actor=bob)
    assert refusal.value.code == "superseded"
    assert permission_lists(portfolio.id) == now


def test_the_platforms_lists_are_loosened_by_two_of_staff(portfolio: Portfolio, bob: Any) -> None:
    steffi, stanley = (user(name, is_staff=True) for name in ("steffi", "stanley"))
    assert put(None, steffi).approval == "not_needed"
    row = put(None, steffi, restricted={})
    newer = put(None, steffi, permitted=[], restricted={})
    assert list(pending_permissions()) == [newer]
    with pytest.raises(Conflict, match="newer version"):
        approve_permissions(proposal_id=row.id, actor=stanley)
    with pytest.raises(Forbidden, match="staff"):
        approve_permissions(proposal_id=newer.id, actor=bob)
    with pytest.raises(Conflict, match="another person"):
        approve_permissions(proposal_id=newer.id, actor=steffi)
    assert permission_lists(None) == START
    approve_permissions(proposal_id=newer.id, actor=stanley)
    assert permission_lists(None) == {"permitted": [], "restricted": {}}
    kinds = Entry.objects.filter(stream_id=PLATFORM_STREAM).order_by("-seq").values_list("kind", flat=True)
    assert kinds[0] == "permissions.approved"


def test_without_four_eyes_lists_are_replaced_at_once(alice: Any, portfolio: Portfolio) -> None:
    plain = create_portfolio(name="Plain", owner=alice)
    put(plain, alice)
    assert put(plain, alice, permitted=[], restricted={}).approval == "not_needed"
    assert permission_lists(plain.id) == {"permitted": [], "restricted": {}}


def test_somebody_must_propose(portfolio: Portfolio) -> None:
    with pytest.raises(Conflict, match="somebody must propose"):
        put(portfolio, None, restricted={})


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("approved = true, decided_by_id = created_by_id, decided_at = now()", "approved_by_another"),
        ("approved = true", "decided_by_somebody"),
        ("needs_approval = false", "immutable"),
        ("permitted = '[]', approved = true, decided_by_id = {bob}, decided_at = now()", "immutable"),
    ],
)
def test_the_database_lets_a_proposal_only_be_decided_on_by_another(
    portfolio: Portfolio, alice: Any, bob: Any, columns: str, reason: str
) -> None:
    row = put(portfolio, alice, restricted={})
    statement = (
        f"UPDATE portfolios_instrumentpermissionproposal SET {columns.format(bob=bob.pk)} WHERE id = %s"
    )
    with pytest.raises(DatabaseError, match=reason), transaction.atomic():
        connection.cursor().execute(statement, [row.id])
    with pytest.raises(DatabaseError, match="after it was proposed"), transaction.atomic():
        connection.cursor().execute(
            "INSERT INTO portfolios_instrumentpermissionproposal (id, portfolio_id, version, permitted, restricted,"
            " needs_approval, approved, created_by_id, decided_by_id, decided_at)"
            " VALUES (gen_random_uuid(), %s, 9, '[]', '{}', true, true, %s, %s, now())",
            [portfolio.id, alice.pk, bob.pk],
        )
    with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
        connection.cursor().execute("DELETE FROM portfolios_instrumentpermissionproposal")
