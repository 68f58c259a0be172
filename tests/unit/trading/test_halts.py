from uuid import UUID, uuid4

import pytest

from trading.core.halts import HaltInForce, Halts, OrderScopes, forbids, strictest

ORDER = OrderScopes(
    account_id=uuid4(), portfolio_id=uuid4(), session_id=uuid4(), rule_id=uuid4(), symbol="AAA"
)
MINE = {
    "platform": "", "account": str(ORDER.account_id), "portfolio": str(ORDER.portfolio_id),
    "session": str(ORDER.session_id), "rule": str(ORDER.rule_id), "symbol": "AAA",
}  # fmt: skip


def halt(scope: str, scope_id: str, mode: str = "halt") -> HaltInForce:
    return HaltInForce(id=UUID(int=1), scope=scope, scope_id=scope_id, mode=mode, reason="a test")


@pytest.mark.parametrize("scope", MINE)
def test_a_halt_covers_what_belongs_to_its_scope(scope: str) -> None:
    assert strictest([halt(scope, MINE[scope])], ORDER) is not None


@pytest.mark.parametrize("scope", [scope for scope in MINE if scope != "platform"])
def test_a_halt_of_something_else_does_not(scope: str) -> None:
    assert strictest([halt(scope, str(uuid4()))], ORDER) is None


def test_an_order_without_session_is_not_covered_by_a_session_halt() -> None:
    manual = OrderScopes(ORDER.account_id, ORDER.portfolio_id, None, None, "AAA")
    assert strictest([halt("session", MINE["session"])], manual) is None


@pytest.mark.parametrize("scope", MINE)
def test_what_may_cover_a_portfolios_orders_is_everything_but_other_portfolios_own(scope: str) -> None:
    mine, another = halt(scope, MINE[scope]), halt(scope, str(uuid4()))
    ids = {"account_id": ORDER.account_id, "portfolio_id": ORDER.portfolio_id, "session_id": ORDER.session_id}
    found = Halts([mine, another]).within(**ids)
    assert list(found) == ([mine] if scope in ("account", "portfolio", "session") else [mine, another])
    assert strictest(found, ORDER) == mine


def test_halt_is_stricter_than_reduce_only() -> None:
    both = [halt("platform", "", "reduce_only"), halt("symbol", "AAA", "halt")]
    found = strictest(both, ORDER)
    assert found is not None and found.mode == "halt"


def test_what_the_modes_forbid() -> None:
    assert not forbids(None, reduces=False)
    assert forbids(halt("platform", ""), reduces=True)
    assert forbids(halt("platform", "", "reduce_only"), reduces=False)
    assert not forbids(halt("platform", "", "reduce_only"), reduces=True)
