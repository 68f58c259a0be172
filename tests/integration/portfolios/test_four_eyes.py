"""Limits of a portfolio that needs four eyes: Alice proposes, Bob approves, and nothing gets round the two."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction

from foundation.clock import database_now
from foundation.errors import Conflict, Forbidden, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, Entry
from market.models import Exchange, Instrument
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import BrokerAccount, LimitSet, Portfolio
from portfolios.selectors import (
    current_limit_sets,
    effective_limits,
    instrument_limits,
    limit_values,
    needs_four_eyes,
    pending_limit_sets,
)
from portfolios.services.limits import (
    PLATFORM_DEFAULTS,
    approve_limits,
    ensure_platform_limits,
    reject_limits,
    set_limits,
)
from portfolios.services.portfolios import create_portfolio, set_four_eyes, set_member

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
D = Decimal


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
    """With a limit of 500 an order from before four eyes were asked for."""
    made = create_portfolio(name="Savings", owner=alice)
    set_member(portfolio=made, user=bob, role="risk_officer", actor=alice)
    set_limits(scope="portfolio", scope_id=made.id, values={"max_order_value": D(500)}, actor=alice)
    return set_four_eyes(portfolio_id=made.id, enabled=True, actor=alice)


def make_live(portfolio: Portfolio) -> None:
    """Only paper brokers exist in this version, so it is written into the table."""
    BrokerAccount.objects.filter(portfolio=portfolio).update(broker="alpaca", is_live=True)


def propose(portfolio: Portfolio, actor: Any, value: int = 700) -> LimitSet:
    return set_limits(
        scope="portfolio", scope_id=portfolio.id, values={"max_order_value": D(value)}, actor=actor
    )


def limit_of(portfolio: Portfolio) -> tuple[Decimal | None, str]:
    found = effective_limits({portfolio.id: None})[portfolio.id]
    return found.get("max_order_value"), found.versions


def kinds(stream: uuid.UUID) -> list[str]:
    return list(Entry.objects.filter(stream_id=stream).order_by("seq").values_list("kind", flat=True))


# --- which portfolios ---------------------------------------------------------------------------------


def test_it_is_those_with_a_live_account_and_those_that_asked_for_it(
    portfolio: Portfolio, alice: Any
) -> None:
    paper, live = (create_portfolio(name=name, owner=alice) for name in ("Paper", "Live"))
    make_live(live)
    assert needs_four_eyes([portfolio.id, paper.id, live.id]) == {portfolio.id, live.id}
    assert needs_four_eyes([]) == set()


def test_turning_it_on_is_told_once_and_changes_nothing_in_force(portfolio: Portfolio, alice: Any) -> None:
    set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)
    assert (
        kinds(portfolio.id)[-1] == "four_eyes.enabled" and kinds(portfolio.id).count("four_eyes.enabled") == 1
    )
    assert limit_of(portfolio) == (500, "platform:1 portfolio:1")


def test_only_a_superuser_turns_it_off_and_nobody_with_a_live_account(
    portfolio: Portfolio, alice: Any
) -> None:
    dora = user("dora", is_superuser=True)
    for nobody in (alice, user("steffi", is_staff=True), user("gone", is_superuser=True, is_active=False)):
        with pytest.raises(Forbidden) as refusal:
            set_four_eyes(portfolio_id=portfolio.id, enabled=False, actor=nobody)
        assert refusal.value.code == "staff_required"
    set_four_eyes(portfolio_id=portfolio.id, enabled=False, actor=dora)
    assert not Portfolio.objects.get(pk=portfolio.id).four_eyes
    assert Alert.objects.get(kind="four_eyes.disabled").severity == "warning"
    make_live(portfolio)
    with pytest.raises(Conflict) as conflict:
        set_four_eyes(portfolio_id=portfolio.id, enabled=False, actor=dora)
    assert conflict.value.code == "live_account"
    with pytest.raises(NotFound):
        set_four_eyes(portfolio_id=uuid.uuid4(), enabled=True, actor=dora)


# --- proposing and deciding ---------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
def test_a_change_waits_and_is_in_force_once_another_person_approved_it(
    portfolio: Portfolio, alice: Any, bob: Any, live: bool
) -> None:
    if live:
        Portfolio.objects.filter(pk=portfolio.pk).update(four_eyes=False)
        make_live(portfolio)
    row = propose(portfolio, alice)
    assert (row.version, row.needs_approval, row.approval) == (2, True, "waiting")
    assert limit_of(portfolio) == (500, "platform:1 portfolio:1")
    assert list(pending_limit_sets()) == [row]
    approved = approve_limits(limit_set_id=row.id, actor=bob)
    assert (approved.approval, approved.decided_by) == ("approved", bob)
    assert limit_of(portfolio) == (700, "platform:1 portfolio:2")
    assert not pending_limit_sets().exists()
    assert kinds(portfolio.id)[-2:] == ["limits.proposed", "limits.approved"]
    told = Alert.objects.filter(stream_id=portfolio.id, kind__startswith="limits.").order_by("seq")
    assert [(alert.kind, alert.severity) for alert in told] == [
        ("limits.proposed", "info"),
        ("limits.approved", "info"),
    ]


def test_without_four_eyes_a_change_is_in_force_at_once(alice: Any) -> None:
    plain = create_portfolio(name="Plain", owner=alice)
    assert propose(plain, alice).approval == "not_needed"
    assert limit_of(plain) == (700, "platform:1 portfolio:1")


def test_nobody_approves_what_he_proposed_a_superuser_neither(portfolio: Portfolio, alice: Any) -> None:
    for proposer in (alice, user("dora", is_superuser=True, is_staff=True)):
        row = propose(portfolio, proposer)
        with pytest.raises(Conflict) as refusal:
            approve_limits(limit_set_id=row.id, actor=proposer)
        assert refusal.value.code == "four_eyes"
    assert limit_of(portfolio)[0] == 500


def test_who_may_not_decide(portfolio: Portfolio, alice: Any, bob: Any) -> None:
    row = propose(portfolio, alice)
    charlie, victor, tara = user("charlie"), user("victor"), user("tara")
    set_member(portfolio=portfolio, user=victor, role="viewer", actor=alice)
    set_member(portfolio=portfolio, user=tara, role="trader", actor=alice)
    bob.is_active = False
    for decide in (approve_limits, reject_limits):
        for stranger in (charlie, bob):
            with pytest.raises(NotFound):
                decide(limit_set_id=row.id, actor=stranger)
        for member in (victor, tara):
            with pytest.raises(Forbidden, match="risk_officer"):
                decide(limit_set_id=row.id, actor=member)
        with pytest.raises(NotFound):
            decide(limit_set_id=uuid.uuid4(), actor=alice)
    assert list(pending_limit_sets()) == [row]


def test_a_rejected_version_is_never_in_force_and_decided_once(
    portfolio: Portfolio, alice: Any, bob: Any
) -> None:
    row = propose(portfolio, alice)
    assert reject_limits(limit_set_id=row.id, actor=bob).approval == "rejected"
    assert kinds(portfolio.id)[-1] == "limits.rejected"
    for decide in (approve_limits, reject_limits):
        with pytest.raises(Conflict, match="rejected already") as refusal:
            decide(limit_set_id=row.id, actor=bob)
        assert refusal.value.code == "not_waiting"
    first = LimitSet.objects.get(scope="portfolio", version=1)
    with pytest.raises(Conflict, match="needs no approval"):
        approve_limits(limit_set_id=first.id, actor=bob)
    assert limit_of(portfolio) == (500, "platform:1 portfolio:1")


def test_who_proposed_it_may_withdraw_it(portfolio: Portfolio, alice: Any) -> None:
    row = propose(portfolio, alice)
    assert reject_limits(limit_set_id=row.id, actor=alice).approval == "rejected"


def test_a_newer_version_replaces_one_that_waits(portfolio: Portfolio, alice: Any, bob: Any) -> None:
    old, new = propose(portfolio, alice, 600), propose(portfolio, alice, 800)
    assert list(pending_limit_sets()) == [new]
    with pytest.raises(Conflict) as refusal:
        approve_limits(limit_set_id=old.id, actor=bob)
    assert refusal.value.code == "superseded"
    reject_limits(limit_set_id=new.id, actor=bob)
    assert list(pending_limit_sets()) == [old], "a rejected version replaces nothing"
    newest = propose(portfolio, alice, 900)
    approve_limits(limit_set_id=newest.id, actor=bob)
    with pytest.raises(Conflict, match="newer version"):
        approve_limits(limit_set_id=old.id, actor=bob)
    assert limit_of(portfolio) == (900, "platform:1 portfolio:4")


def test_what_waits_does_not_weaken_what_is_in_force_even_with_no_value(
    portfolio: Portfolio, alice: Any
) -> None:
    set_limits(scope="portfolio", scope_id=portfolio.id, values={}, actor=alice)
    assert limit_of(portfolio)[0] == 500


def test_approved_limits_stay_below_the_platforms_ceiling(portfolio: Portfolio, alice: Any, bob: Any) -> None:
    row = propose(portfolio, alice, 10**9)
    approve_limits(limit_set_id=row.id, actor=bob)
    assert limit_of(portfolio)[0] == PLATFORM_DEFAULTS["max_order_value"]


def test_somebody_must_propose(portfolio: Portfolio) -> None:
    with pytest.raises(Conflict, match="somebody must propose"):
        propose(portfolio, None)


# --- the other scopes ---------------------------------------------------------------------------------


def test_the_accounts_limits_wait_and_are_told_on_the_portfolios_stream(
    portfolio: Portfolio, alice: Any, bob: Any
) -> None:
    account = BrokerAccount.objects.get(portfolio=portfolio)
    row = set_limits(scope="account", scope_id=account.id, values={"max_order_value": D(90)}, actor=alice)
    assert limit_of(portfolio)[0] == 500 and kinds(portfolio.id)[-1] == "limits.proposed"
    approve_limits(limit_set_id=row.id, actor=bob)
    assert limit_of(portfolio) == (90, "platform:1 account:1 portfolio:1")


def test_a_sessions_limits_never_wait(portfolio: Portfolio, alice: Any) -> None:
    session_id = uuid.uuid4()
    set_limits(
        scope="session", scope_id=session_id, values={"max_order_value": D(70)}, actor=alice,
        portfolio_id=portfolio.id,
    )  # fmt: skip
    assert effective_limits({portfolio.id: session_id})[portfolio.id].get("max_order_value") == 70


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"max_order_value": D("70.00000001"), "min_volume": D(900)}, ["max_order_value"]),
        ({"max_order_value": D(70), "min_volume": D("899.99999999")}, ["min_volume"]),  # a floor
        ({"max_order_value": D(70)}, ["min_volume"]),  # no longer set
        ({}, ["max_order_value", "min_volume"]),
        ({"max_order_value": D(71), "min_volume": D(901)}, ["max_order_value"]),
        ({"max_order_value": D(70), "min_volume": D(900)}, []),
        ({"max_order_value": D("69.99999999"), "min_volume": D("900.00000001")}, []),
        ({"max_order_value": D(70), "min_volume": D(900), "max_daily_trades": D(10**6)}, []),  # one more
    ],
)
@pytest.mark.parametrize("careful", [True, False])
def test_one_person_only_tightens_a_sessions_limits(
    portfolio: Portfolio, alice: Any, values: dict[str, Decimal], names: list[str], careful: bool
) -> None:
    mine = portfolio if careful else create_portfolio(name="Plain", owner=alice)
    session_id = uuid.uuid4()

    def put(values: dict[str, Decimal]) -> LimitSet:
        return set_limits(
            scope="session", scope_id=session_id, values=values, actor=alice, portfolio_id=mine.id
        )

    put({"max_order_value": D(70), "min_volume": D(900)})
    if names and careful:
        with pytest.raises(Conflict) as refusal:
            put(values)
        assert (refusal.value.code, refusal.value.extra["limits"]) == ("four_eyes", names)
        assert all(name in str(refusal.value) for name in names)
    else:
        put(values)
    assert LimitSet.objects.filter(scope_id=session_id).count() == (1 if names and careful else 2)


def test_what_holds_everywhere_waits_for_staff(portfolio: Portfolio, alice: Any, bob: Any) -> None:
    exchange = Exchange.objects.create(code="XTST", name="Test", timezone="UTC")
    instrument = Instrument.objects.create(
        symbol="AAA", name="AAA", exchange=exchange, tick_size=D("0.01"), lot_size=D(1)
    )
    steffi, stanley = (user(name, is_staff=True) for name in ("steffi", "stanley"))
    of_platform = set_limits(
        scope="platform", values={**PLATFORM_DEFAULTS, "max_order_value": D(100)}, actor=steffi
    )
    of_instrument = set_limits(
        scope="instrument", instrument_id=instrument.pk, values={"max_order_value": D(50)}, actor=steffi
    )
    assert limit_of(portfolio) == (500, "platform:1 portfolio:1") and instrument_limits() == {}
    for row in (of_platform, of_instrument):
        with pytest.raises(Forbidden, match="staff"):
            approve_limits(limit_set_id=row.id, actor=bob)
        with pytest.raises(Conflict, match="another person"):
            approve_limits(limit_set_id=row.id, actor=steffi)
        approve_limits(limit_set_id=row.id, actor=stanley)
    assert limit_of(portfolio) == (100, "platform:2 portfolio:1")
    assert instrument_limits()[instrument.pk][2]["max_order_value"] == 50
    assert kinds(PLATFORM_STREAM)[-4:] == [
        "limits.proposed", "limits.proposed", "limits.approved", "limits.approved",
    ]  # fmt: skip


def test_the_seed_puts_nothing_back_while_a_change_waits(portfolio: Portfolio) -> None:
    steffi = user("steffi", is_staff=True)
    set_limits(scope="platform", values={"max_order_value": D(1)}, actor=steffi)
    ensure_platform_limits()
    assert LimitSet.objects.filter(scope="platform").count() == 2, "the platform has had every limit"
    found = current_limit_sets([("platform", None)])[("platform", None)]
    assert (found.version, found.max_order_value) == (1, PLATFORM_DEFAULTS["max_order_value"])


# --- the database -------------------------------------------------------------------------------------


def insert(**columns: Any) -> None:
    """As the application's role, past every service."""
    values = {"id": uuid.uuid4(), "version": 99, "created_at": database_now(), **columns}
    names = ", ".join(values)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO portfolios_limitset ({names}) VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


def test_the_database_refuses_limits_that_do_not_wait(portfolio: Portfolio, alice: Any) -> None:
    account = BrokerAccount.objects.get(portfolio=portfolio)
    for scope, scope_id in (("portfolio", portfolio.id), ("account", account.id), ("platform", None)):
        with pytest.raises(DatabaseError, match="need the approval of a second person"):
            insert(scope=scope, scope_id=scope_id, max_order_value=10**6, created_by_id=alice.pk)
    insert(scope="session", scope_id=uuid.uuid4(), max_order_value=10**6, created_by_id=alice.pk)


def test_the_database_lets_nobody_loosen_the_platform_in_the_seeds_name(portfolio: Portfolio) -> None:
    held = limit_values(LimitSet.objects.get(scope="platform"))
    for change in ({"max_order_value": 10**9}, {"max_order_value": None}):
        with pytest.raises(DatabaseError, match="need the approval of a second person"):
            insert(scope="platform", **{**held, **change})


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        # Alice approves what she proposed
        (
            "approved = true, decided_by_id = created_by_id, decided_at = now()",
            "limit_set_approved_by_another",
        ),
        ("approved = true", "limit_set_decided_by_somebody"),
        ("approved = true, decided_at = now()", "limit_set_decided_by_somebody"),
        ("needs_approval = false", "immutable"),
        ("max_order_value = 1000000", "immutable"),
        (
            "created_by_id = NULL, approved = true, decided_by_id = created_by_id, decided_at = now()",
            "immutable",
        ),
        ("version = 98", "immutable"),
    ],
)
def test_the_database_refuses_every_other_change_of_what_waits(
    portfolio: Portfolio, alice: Any, columns: str, constraint: str
) -> None:
    row = propose(portfolio, alice)
    with pytest.raises(DatabaseError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE portfolios_limitset SET {columns} WHERE id = %s", [row.id])
    assert limit_of(portfolio)[0] == 500


def test_the_database_refuses_to_make_what_is_approved_already(
    portfolio: Portfolio, alice: Any, bob: Any
) -> None:
    scope = {"scope": "portfolio", "scope_id": portfolio.id, "created_by_id": alice.pk}
    decided = {"approved": True, "decided_by_id": bob.pk, "decided_at": database_now()}
    with pytest.raises(DatabaseError, match="after they were proposed"):
        insert(**scope, needs_approval=True, **decided)
    with pytest.raises(DatabaseError, match="limit_set_proposed_by_somebody"):
        insert(**{**scope, "created_by_id": None}, needs_approval=True)


def test_the_database_keeps_decided_and_unneeding_versions_as_they_are(
    portfolio: Portfolio, alice: Any, bob: Any
) -> None:
    approve_limits(limit_set_id=propose(portfolio, alice).id, actor=bob)
    reject_limits(limit_set_id=propose(portfolio, alice).id, actor=bob)
    for statement in (
        "UPDATE portfolios_limitset SET approved = NOT approved WHERE approved IS NOT NULL",
        "UPDATE portfolios_limitset SET approved = NULL, decided_by_id = NULL, decided_at = NULL WHERE approved",
        "UPDATE portfolios_limitset SET max_order_value = 1",
        "DELETE FROM portfolios_limitset",
    ):
        with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
            connection.cursor().execute(statement)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        connection.cursor().execute("TRUNCATE portfolios_limitset")
    with pytest.raises(DatabaseError, match="must be owner"), transaction.atomic():
        connection.cursor().execute("ALTER TABLE portfolios_limitset DISABLE TRIGGER ALL")


def test_a_temporary_table_does_not_blind_the_database(portfolio: Portfolio, alice: Any) -> None:
    """A role may make one of the same name; the triggers look at the real one."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE portfolios_portfolio (id uuid, four_eyes boolean) ON COMMIT DROP")
    try:
        with pytest.raises(DatabaseError, match="need the approval of a second person"):
            insert(scope="portfolio", scope_id=portfolio.id, max_order_value=1, created_by_id=alice.pk)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE pg_temp.portfolios_portfolio")


def test_every_limit_is_a_column_that_the_seed_is_judged_by() -> None:
    columns = {field.column for field in LimitSet._meta.concrete_fields}
    assert columns - set(LIMIT_NAMES) == {
        "id", "scope", "scope_id", "instrument_id", "version", "created_by_id", "created_at", "needs_approval",
        "approved", "decided_by_id", "decided_at",
    }  # fmt: skip
