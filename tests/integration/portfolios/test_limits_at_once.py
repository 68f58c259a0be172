"""Two who set the limits of one scope at once both succeed, one after the other; of two who decide, one does."""

import uuid
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from foundation.errors import Conflict
from portfolios.models import LimitSet
from portfolios.selectors import current_limit_sets
from portfolios.services.limits import (
    PLATFORM_DEFAULTS,
    approve_limits,
    ensure_platform_limits,
    reject_limits,
    set_limits,
)
from portfolios.services.portfolios import create_portfolio, set_four_eyes, set_member
from tests.harness.databases import CommittedDatabase
from tests.harness.racing import Waiting

pytestmark = pytest.mark.integration


def versions(scope: str, scope_id: uuid.UUID | None) -> list[int]:
    rows = LimitSet.objects.filter(scope=scope, scope_id=scope_id)
    return list(rows.order_by("version").values_list("version", flat=True))


@pytest.mark.parametrize("scope", ["platform", "portfolio"])
def test_both_versions_are_kept(committed_db: CommittedDatabase, scope: str) -> None:
    alice = get_user_model().objects.create(username="alice")
    portfolio = create_portfolio(name="Savings", owner=alice)
    scope_id = portfolio.id if scope == "portfolio" else None
    before = versions(scope, scope_id)

    def set_them() -> None:
        set_limits(scope=scope, scope_id=scope_id, values={"max_order_value": Decimal(1)}, actor=alice)

    second = Waiting(committed_db, set_them)
    with transaction.atomic():
        set_them()
        second.start_and_block()
    second.join()
    first = len(before) + 1
    assert versions(scope, scope_id) == [*before, first, first + 1]


def test_the_platforms_limits_are_seeded_once(committed_db: CommittedDatabase) -> None:
    with committed_db.as_owner() as owner:
        owner.execute("TRUNCATE portfolios_limitset")
    second = Waiting(committed_db, ensure_platform_limits)
    with transaction.atomic():
        ensure_platform_limits()
        second.start_and_block()
    second.join()
    assert versions("platform", None) == [1]
    assert LimitSet.objects.get().max_order_value == PLATFORM_DEFAULTS["max_order_value"]


@pytest.mark.parametrize("first_approves", [True, False])
def test_of_two_who_decide_at_once_one_does(committed_db: CommittedDatabase, first_approves: bool) -> None:
    alice, bob, rita = (get_user_model().objects.create(username=name) for name in ("alice", "bob", "rita"))
    portfolio = create_portfolio(name="Savings", owner=alice)
    for officer in (bob, rita):
        set_member(portfolio=portfolio, user=officer, role="risk_officer", actor=alice)
    set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)
    values = {"max_order_value": Decimal(1)}
    row = set_limits(scope="portfolio", scope_id=portfolio.id, values=values, actor=alice)
    refused: list[str] = []

    def approve_late() -> None:
        try:
            approve_limits(limit_set_id=row.id, actor=rita)
        except Conflict as error:
            refused.append(error.code)

    second = Waiting(committed_db, approve_late)
    with transaction.atomic():
        (approve_limits if first_approves else reject_limits)(limit_set_id=row.id, actor=bob)
        second.start_and_block()
    second.join()
    row.refresh_from_db()
    assert (row.approved, row.decided_by, refused) == (first_approves, bob, ["not_waiting"])


def test_a_new_control_is_seeded_past_a_change_that_waits(committed_db: CommittedDatabase) -> None:
    """As after an upgrade: the platform never had the limit, and nobody could trade without it."""
    with committed_db.as_owner() as owner:
        owner.execute("TRUNCATE portfolios_limitset")
    alice, steffi = (get_user_model().objects.create(username=name) for name in ("alice", "steffi"))
    before = {**PLATFORM_DEFAULTS, "max_leverage": None}
    set_limits(scope="platform", values=before, actor=steffi)
    portfolio = create_portfolio(name="Savings", owner=alice)
    set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)
    set_limits(scope="platform", values={"max_leverage": Decimal(100)}, actor=steffi)
    ensure_platform_limits()
    found = current_limit_sets([("platform", None)])[("platform", None)]
    assert (found.version, found.approval, found.max_leverage, found.max_order_value) == (
        3, "not_needed", PLATFORM_DEFAULTS["max_leverage"], PLATFORM_DEFAULTS["max_order_value"],
    )  # fmt: skip
