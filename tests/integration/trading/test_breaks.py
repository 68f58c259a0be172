"""A break halts its account until a person has explained it, or it has gone, and a risk officer lets go."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from journal.models import Alert, Entry
from portfolios.models import BrokerAccount
from portfolios.services.portfolios import set_member
from tests.harness.at_broker import connect
from tests.harness.racing import racing
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.models import Halt, ReconciliationBreak
from trading.selectors import shown_halts
from trading.services.breaks import end_gone, explain_break, halt_while_open, record_break
from trading.services.emergency_stop import release
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def account(desk: Desk) -> BrokerAccount:
    return connect(desk)


def found(
    account: BrokerAccount, key: str = "AAA", *, ours: Any = 5, theirs: Any = 7, kind: str = "position"
) -> Any:
    return record_break(
        account_id=account.pk, kind=kind, key=key, ours={"quantity": ours}, theirs={"quantity": theirs},
        detail=f"{key} differs",
    )  # fmt: skip


def halts(account: BrokerAccount) -> Any:
    return Halt.objects.filter(scope="account", scope_id=str(account.pk)).order_by("armed_at")


def staff(name: str = "steffi") -> Any:
    return get_user_model().objects.create(username=name, is_staff=True)


def test_it_is_recorded_told_and_halts_the_account(desk: Desk, account: BrokerAccount) -> None:
    row = found(account)
    assert (row.kind, row.key, row.ended_at) == ("position", "AAA", None)
    halt = halts(account).get()
    assert (halt.mode, halt.armed_by_breaker, halt.episode) == ("halt", "reconciliation", "first")
    alert = Alert.objects.get(kind="reconciliation.break")
    assert (alert.severity, alert.stream_id) == ("critical", desk.portfolio.id)
    assert Entry.objects.filter(kind="halt.armed", stream_id=desk.portfolio.id).count() == 1
    assert book_differences() == []


def test_seen_again_it_is_the_same_one(account: BrokerAccount) -> None:
    first = found(account)
    again = found(account, theirs=8)
    assert (again.pk, again.found_at, again.theirs) == (first.pk, first.found_at, {"quantity": 8})
    assert again.last_seen_at > first.last_seen_at
    assert Alert.objects.filter(kind="reconciliation.break").count() == 1


def test_another_one_needs_no_second_halt(account: BrokerAccount) -> None:
    found(account)
    found(account, "BBB")
    assert halts(account).count() == 1


def test_where_only_cash_differs_exits_go_on(desk: Desk, account: BrokerAccount) -> None:
    row = found(account, "USD", kind="cash")
    (halt,) = halts(account)
    assert (halt.mode, halt.armed_by_breaker, halt.episode) == ("reduce_only", "cash_difference", "first")
    assert book_differences() == []
    other = found(account)
    assert [halt.mode for halt in halts(account)] == ["reduce_only", "halt"]
    bob = risk_officer(desk)
    explain_break(break_id=other.pk, explanation="A transfer", actor=bob)
    release(halt_id=halts(account).get(mode="halt").pk, actor=bob)  # the cash is not what it is for
    with pytest.raises(Conflict) as refused:
        release(halt_id=halt.pk, actor=bob)
    assert refused.value.code == "breaks_open"
    assert [shown.open_breaks for shown in shown_halts(bob).filter(released_at=None)] == [1]
    explain_break(break_id=row.pk, explanation="A fee", actor=bob)
    release(halt_id=halt.pk, actor=bob)
    assert not halts(account).filter(released_at=None).exists()
    assert (halt_while_open(account_id=account.pk), book_differences()) == (0, [])


def test_of_many_who_find_it_at_once_one_records_it(account: BrokerAccount) -> None:
    with racing(*[lambda: found(account) for _ in range(4)]) as racers:
        rows = racers.race()
    assert racers.errors == []
    assert len({row.pk for row in rows}) == 1
    assert (halts(account).count(), Alert.objects.filter(kind="reconciliation.break").count()) == (1, 1)


def test_the_owner_does_not_explain_it(desk: Desk, account: BrokerAccount) -> None:
    row = found(account)
    with pytest.raises(Forbidden):
        explain_break(break_id=row.pk, explanation="I know", actor=desk.owner)
    assert ReconciliationBreak.objects.get().ended_at is None


def test_a_risk_officer_explains_and_releases(desk: Desk, account: BrokerAccount) -> None:
    bob = risk_officer(desk)
    row = found(account)
    halt = halts(account).get()
    with pytest.raises(Conflict) as refused:
        release(halt_id=halt.pk, actor=bob)
    assert refused.value.code == "breaks_open"
    row = explain_break(break_id=row.pk, explanation="  A transfer ", actor=bob)
    assert (row.explained_by, row.explanation, row.ended_at is not None) == (bob, "A transfer", True)
    (entry,) = Entry.objects.filter(kind="reconciliation.break_explained")
    assert "A transfer" in entry.payload
    with pytest.raises(Forbidden):
        release(halt_id=halt.pk, actor=desk.owner)
    assert release(halt_id=halt.pk, actor=bob).released_at is not None
    assert book_differences() == []


def test_staff_may_do_both(account: BrokerAccount) -> None:
    steffi = staff()
    explain_break(break_id=found(account).pk, explanation="A transfer", actor=steffi)
    assert release(halt_id=halts(account).get().pk, actor=steffi).released_by == steffi


@pytest.mark.parametrize("text", ["", "   ", "x" * 501])
def test_an_explanation_says_something(account: BrokerAccount, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        explain_break(break_id=found(account).pk, explanation=text, actor=staff())
    assert refused.value.errors is not None and refused.value.errors[0]["path"] == "explanation"


def test_what_has_ended_is_not_explained(account: BrokerAccount) -> None:
    row, steffi = found(account), staff()
    explain_break(break_id=row.pk, explanation="A transfer", actor=steffi)
    with pytest.raises(Conflict):
        explain_break(break_id=row.pk, explanation="Another thing", actor=steffi)
    with pytest.raises(NotFound):
        explain_break(break_id=uuid.uuid4(), explanation="No such", actor=steffi)


def test_what_is_explained_is_no_news_until_it_changes(account: BrokerAccount) -> None:
    steffi = staff()
    explain_break(break_id=found(account).pk, explanation="A transfer of 2", actor=steffi)
    release(halt_id=halts(account).get().pk, actor=steffi)
    assert found(account, ours=6, theirs=8) is None  # still two more, whatever was traded
    assert halts(account).filter(released_at=None).count() == 0
    assert found(account, ours=6, theirs=9) is not None
    assert [halt.episode.split()[0] for halt in halts(account)] == ["first", "since"]


def test_released_behind_its_back_it_is_halted_again(account: BrokerAccount) -> None:
    found(account)
    first = halts(account).get()
    Halt.objects.filter(pk=first.pk).update(released_at=first.armed_at, released_by=staff())
    assert any("no halt is in force" in line for line in book_differences())
    assert halt_while_open(account_id=account.pk) == 1
    assert halts(account).filter(released_at=None).count() == 1
    assert book_differences() == []


def test_a_release_and_a_new_break_at_once_leave_no_break_without_a_halt(account: BrokerAccount) -> None:
    steffi = staff()
    for number in range(5):
        row = found(account, f"S{number}")
        explain_break(break_id=row.pk, explanation="A drill", actor=steffi)
        halt = halts(account).get(released_at=None)

        def let_go(pk: uuid.UUID = halt.pk) -> None:
            try:
                release(halt_id=pk, actor=steffi)
            except Conflict as refused:
                assert refused.code == "breaks_open"

        with racing(let_go, lambda number=number: found(account, f"T{number}")) as racers:  # type: ignore[misc]
            racers.race()
        assert racers.errors == []
        assert halts(account).filter(released_at=None).count() == 1
        again = ReconciliationBreak.objects.get(ended_at=None)
        explain_break(break_id=again.pk, explanation="A drill", actor=steffi)


def test_what_is_gone_ends_by_itself_and_stays_halted(account: BrokerAccount) -> None:
    position, order = found(account), found(account, "o", kind="foreign_order")
    assert end_gone(account_id=account.pk, kinds={"position"}, seen={("position", "BBB")}) == 1
    position.refresh_from_db()
    order.refresh_from_db()
    assert (position.ended_at is not None, position.explained_by, order.ended_at) == (True, None, None)
    assert Entry.objects.filter(kind="reconciliation.break_ended").count() == 1
    assert halts(account).filter(released_at=None).count() == 1
    assert end_gone(account_id=account.pk, kinds={"position"}, seen=set()) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"qty": float("nan"), "price": float("-inf")},
        {"text": "a\x00b\ud800"},
        {"raw": b"\xff", "deep": [[[[[[[[1]]]]]]]]},
        {"long": "x" * 100_000},
        {1: {2, 3}},
        {"number": D("NaN")},
    ],
)
def test_whatever_a_broker_says_can_be_kept(account: BrokerAccount, said: Any) -> None:
    row = record_break(
        account_id=account.pk,
        kind="bad_report",
        key="k" * 500,
        ours={},
        theirs={"said": said},
        detail="\x00" * 600,
    )
    assert row is not None and row.theirs and len(row.key) == 200


def test_nobody_outside_sees_the_halt_as_his_to_release(desk: Desk, account: BrokerAccount) -> None:
    charlie = get_user_model().objects.create(username="charlie")
    explain_break(break_id=found(account).pk, explanation="A drill", actor=staff())
    with pytest.raises(Forbidden):
        release(halt_id=halts(account).get().pk, actor=charlie)
    set_member(portfolio=desk.portfolio, user=charlie, role="trader", actor=desk.owner)
    with pytest.raises(Forbidden):
        release(halt_id=halts(account).get().pk, actor=charlie)
