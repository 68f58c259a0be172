"""What a person asks for by hand passes the same controls as a rule's order, and leaves the same record."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections

from foundation.errors import InvalidInput, NotFound, RecordedRefusal, Unavailable
from foundation.models import RequiredCodeVersion
from journal.models import Alert, Entry
from market.models import Instrument
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import set_member
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import STOP_LOSS, Desk, Market
from trading.models import AutoTrade, Decision
from trading.services.emergency_stop import arm
from trading.services.manual import Preview, place_trade, preview_trade
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


def order(
    desk: Desk, side: str = "buy", quantity: Any = 10, symbol: str = "AAA", actor: Any = None
) -> AutoTrade:
    return place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=D(quantity), actor=actor or desk.owner
    )  # fmt: skip


def preview(desk: Desk, side: str = "buy", quantity: Any = 10, symbol: str = "AAA") -> Preview:
    return preview_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=D(quantity), actor=desk.owner
    )


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(RecordedRefusal) as caught:
        work()
    return caught.value.code


def limit(value: Any, *, name: str = "max_order_value", **scope: Any) -> None:
    """A new version of one scope; the platform keeps its other limits, without which nobody trades."""
    kept: dict[str, Decimal | None] = {}
    if scope["scope"] == "platform":
        kept = limit_values(current_limit_sets([("platform", None)])["platform", None])
    set_limits(values={**kept, name: None if value is None else D(value)}, actor=None, **scope)


# --- what it becomes ---------------------------------------------------------------------------------


def test_it_becomes_a_trade_that_names_who_wanted_it_and_is_executed(desk: Desk) -> None:
    trade = order(desk)
    assert (trade.origin, trade.actor, trade.rule_id) == ("manual", "user:alice", None)
    assert (trade.status, trade.quantity, trade.session_id) == ("pending", 10, desk.session.id)
    desk.refresh()
    assert desk.portfolio.reserved_cash > 1_000
    assert execute_pending() == 1
    assert desk.held("AAA") == 10
    assert desk.refresh().session.total_trades == 1
    assert book_differences() == []


def test_its_record_tells_who_asked_the_size_and_every_control(desk: Desk) -> None:
    trade = order(desk)
    decision = Decision.objects.get(trade=trade)
    assert (decision.outcome, decision.rule_id, decision.session_id) == ("traded", None, desk.session.id)
    assert decision.explanation == {"sentence": "alice asked for it by hand."}
    assert decision.sizing["quantity"] == "10" and decision.sizing["value"] == "1000"
    assert D(decision.sizing["cost"]) == desk.refresh().portfolio.reserved_cash
    assert len(decision.checks) > 30 and all(check["passed"] for check in decision.checks)
    kinds = Entry.objects.filter(stream_id=desk.portfolio.id).order_by("-seq").values_list("kind", flat=True)
    assert list(kinds[:2]) == ["trade.created", "decision.made"]


def test_without_a_session_it_trades_all_the_same(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    trade = order(desk)
    assert trade.session_id is None
    execute_pending()
    assert desk.held("AAA") == 10 and book_differences() == []


def test_a_sell_reduces_whatever_the_limits_on_size_are(desk: Desk) -> None:
    order(desk)
    execute_pending()
    limit(0, scope="portfolio", scope_id=desk.portfolio.id)
    assert code_of(lambda: order(desk, symbol="BBB")) == "MAX_ORDER_VALUE"
    order(desk, "sell", 4)
    assert code_of(lambda: order(desk, "sell", 7)) == "INSUFFICIENT_POSITION"
    execute_pending()
    assert desk.held("AAA") == 6


# --- refusals ----------------------------------------------------------------------------------------


def test_a_refusal_is_recorded_with_its_numbers_and_raised(desk: Desk) -> None:
    limit(999, scope="portfolio", scope_id=desk.portfolio.id)
    with pytest.raises(RecordedRefusal) as caught:
        order(desk)
    refusal = caught.value
    assert (refusal.status, refusal.detail) == (422, "MAX_ORDER_VALUE: value=1000 limit=999")
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code, decision.detail) == (
        "refused",
        "MAX_ORDER_VALUE",
        refusal.detail,
    )
    assert (refusal.extra["decision_id"], refusal.extra["checks"]) == (decision.id, decision.checks)
    assert desk.trades() == []
    assert desk.refresh().portfolio.reserved_cash == 0
    assert Entry.objects.filter(stream_id=desk.portfolio.id, kind="decision.made").count() == 1


def test_each_time_that_a_person_asks_has_its_own_record(desk: Desk) -> None:
    limit(1, scope="portfolio", scope_id=desk.portfolio.id)
    for _ in range(2):
        assert code_of(lambda: order(desk)) == "MAX_ORDER_VALUE"
    assert [(row.code, row.repeated) for row in desk.decisions()] == [("MAX_ORDER_VALUE", 0)] * 2


@pytest.mark.parametrize("scope", ["platform", "account", "portfolio", "session", "instrument"])
def test_the_tightest_of_all_scopes_holds(desk: Desk, scope: str) -> None:
    """This scope lets 999 through, every other one more."""
    of = {
        "platform": {"scope": "platform"},
        "account": {"scope": "account", "scope_id": desk.portfolio.broker_account.id,
                    "portfolio_id": desk.portfolio.id},
        "portfolio": {"scope": "portfolio", "scope_id": desk.portfolio.id},
        "session": {"scope": "session", "scope_id": desk.session.id, "portfolio_id": desk.portfolio.id},
        "instrument": {"scope": "instrument", "instrument_id": Instrument.objects.get(symbol="AAA").id},
    }  # fmt: skip
    for name, target in of.items():
        limit(1_000 if name != scope else 999, **target)
    assert code_of(lambda: order(desk)) == "MAX_ORDER_VALUE"
    limit(1_000, **of[scope])
    trade = order(desk)
    assert all(f"{name}:" in trade.limits_version for name in of)
    if scope == "instrument":  # another one is not held to it
        limit(1, **of[scope])
        order(desk, symbol="BBB")


def test_a_limit_that_only_the_session_sets_permits_nothing(desk: Desk) -> None:
    """Tara the trader may start sessions, and set no limits: hers are held to what others set."""
    order(desk)
    execute_pending()
    of_session = {"scope": "session", "scope_id": desk.session.id, "portfolio_id": desk.portfolio.id}
    limit(100_000, **of_session)
    limit(None, scope="platform")
    assert code_of(lambda: order(desk, symbol="BBB")) == "NO_LIMIT_SET"
    assert "max_order_value" in desk.decisions()[-1].detail
    order(desk, "sell", 4)
    limit(1_000, scope="instrument", instrument_id=Instrument.objects.get(symbol="BBB").id)
    order(desk, symbol="BBB")
    limit(500, **of_session)
    assert code_of(lambda: order(desk, quantity=6, symbol="BBB")) == "MAX_ORDER_VALUE"


def test_who_does_not_trade_here_is_not_permitted(desk: Desk) -> None:
    bob = get_user_model().objects.create(username="bob", is_staff=True)
    for role in (None, "viewer", "risk_officer"):
        if role is not None:
            set_member(portfolio=desk.portfolio, user=bob, role=role, actor=desk.owner)
        assert code_of(lambda: order(desk, actor=bob)) == "NOT_PERMITTED"
        assert f"bob needs the role owner or trader here; his is {role}" in desk.decisions()[-1].detail


def test_a_trader_trades_until_he_is_no_active_user_any_more(desk: Desk) -> None:
    tara = get_user_model().objects.create(username="tara")
    set_member(portfolio=desk.portfolio, user=tara, role="trader", actor=desk.owner)
    assert order(desk, actor=tara).actor == "user:tara"
    tara.is_active = False
    assert code_of(lambda: order(desk, symbol="BBB", actor=tara)) == "NOT_PERMITTED"


def test_a_restricted_instrument_is_sold_but_not_bought(desk: Desk) -> None:
    order(desk)
    execute_pending()
    set_instrument_permissions(
        portfolio_id=desk.portfolio.id, permitted=[], restricted={"AAA": "Compliance"}, actor=desk.owner
    )
    assert code_of(lambda: order(desk, quantity=1)) == "NOT_PERMITTED"
    assert "restricted: Compliance" in desk.decisions()[-1].detail
    assert order(desk, "sell").trade_type == "sell"
    set_instrument_permissions(portfolio_id=None, permitted=["CCC"], restricted={}, actor=None)
    assert code_of(lambda: order(desk, symbol="BBB")) == "NOT_PERMITTED"


def test_a_running_sessions_stop_hours_and_capital_hold(desk: Desk, market: Market) -> None:
    config = {"capital_cap": {"amount": "1500"}, "trading_window": {"blackout_dates": ["2010-03-02"]}}
    capped = Desk.open(market, owner="anna", config=config)
    order(capped)
    assert code_of(lambda: order(capped, symbol="BBB")) == "CAPITAL_CAP"
    market.tick(minutes=24 * 60)
    assert code_of(lambda: order(capped, symbol="BBB", quantity=1)) == "TIME_RESTRICTED"
    arm(scope="session", scope_id=str(desk.session.id), reason="a test", actor=desk.owner)
    assert code_of(lambda: order(desk)) == "HALTED"


def test_the_same_order_twice_is_a_duplicate(desk: Desk) -> None:
    order(desk)
    assert code_of(lambda: order(desk)) == "DUPLICATE_ORDER"


def test_a_closed_market_and_an_old_price_refuse(desk: Desk, market: Market) -> None:
    market.is_open = False
    market.tick()
    assert code_of(lambda: order(desk)) == "MARKET_CLOSED"
    market.is_open, market.price_age_seconds = True, 61
    market.tick()
    assert code_of(lambda: order(desk)) == "STALE_DATA"


def test_an_unknown_price_refuses(desk: Desk, market: Market) -> None:
    market.tick(AAA=float("nan"))
    charlie = get_user_model().objects.create(username="charlie")
    for side in ("buy", "sell"):
        assert code_of(lambda side=side: order(desk, side)) == "STALE_DATA"
        assert "unknown" in desk.decisions()[-1].detail
        assert code_of(lambda side=side: order(desk, side, actor=charlie)) == "NOT_PERMITTED"


def test_a_flatten_that_is_refused_after_it_is_told_all_the_same(desk: Desk, market: Market) -> None:
    """What a person was refused is not taken for an earlier refusal of the flatten."""
    order(desk)
    execute_pending()
    market.is_open = False
    market.tick()
    assert code_of(lambda: order(desk, "sell")) == "MARKET_CLOSED"
    desk.session.config = {"on_stop": "flatten"}
    desk.session.save(update_fields=["config"])
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    for _ in range(2):
        finish_stopping()
    assert Alert.objects.filter(kind="session.flatten_refused").count() == 1


# --- what is no order --------------------------------------------------------------------------------


QUANTITIES = {
    "0": "side", "-1": "side", "NaN": "side", "1000000000000": "side",
    "1.5": "nearest below is 1.", "0.5": "smallest is 1.",
}  # fmt: skip


def test_a_quantity_that_is_none_is_refused_with_its_cure_and_not_recorded(desk: Desk) -> None:
    for quantity, cure in QUANTITIES.items():
        with pytest.raises(InvalidInput) as caught:
            order(desk, quantity=quantity)
        (error,) = caught.value.errors or []
        assert error["path"] == "quantity" and cure in error["suggestion"], quantity
    assert desk.decisions() == []


def test_an_unknown_symbol_is_named_with_the_nearest(desk: Desk) -> None:
    with pytest.raises(InvalidInput) as caught:
        order(desk, symbol="AAB", side="hold")
    assert [row["path"] for row in caught.value.errors or []] == ["trade_type", "symbol"]
    assert (caught.value.errors or [])[1]["suggestion"] == "Did you mean AAA?"


def test_code_that_may_not_trade_does_not(desk: Desk) -> None:
    RequiredCodeVersion.objects.create(version="another")
    with pytest.raises(Unavailable, match="may not trade"):
        order(desk)
    assert desk.decisions() == []


# --- looking only ------------------------------------------------------------------------------------


def test_a_preview_says_the_same_and_writes_nothing(desk: Desk) -> None:
    entries = Entry.objects.count()
    look = preview(desk)
    assert (look.approved, look.code, look.detail) == (True, None, "")
    limit(999, scope="portfolio", scope_id=desk.portfolio.id)
    refused = preview(desk)
    assert (refused.approved, refused.code) == (False, "MAX_ORDER_VALUE")
    assert refused.detail == "MAX_ORDER_VALUE: value=1000 limit=999"
    assert len(look.checks) == len(refused.checks) > 30
    assert (desk.trades(), desk.decisions()) == ([], [])
    assert Entry.objects.count() == entries + 1, "only the limits were journalled"
    assert desk.refresh().portfolio.reserved_cash == 0


# --- at once -----------------------------------------------------------------------------------------


def test_two_who_race_for_the_last_cash_one_gets_it(market: Market) -> None:
    market.tick()
    limit(100, name="max_position_percentage", scope="platform")
    for number in range(4):
        desk = Desk.open(market, owner=f"owner-{number}", cash=1_500, rules=(STOP_LOSS,))
        barrier, codes = threading.Barrier(2), []

        def run(symbol: str, desk: Desk = desk, barrier: Any = barrier, codes: Any = codes) -> None:
            try:
                barrier.wait(10)
                codes.append(order(desk, symbol=symbol).status)
            except RecordedRefusal as refusal:
                codes.append(refusal.code)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=run, args=(symbol,)) for symbol in ("AAA", "BBB")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(codes) == ["INSUFFICIENT_CASH", "pending"]
        assert sorted(row.outcome for row in desk.decisions()) == ["refused", "traded"]
    execute_pending()
    assert book_differences() == []


# --- the command line --------------------------------------------------------------------------------


def command(desk: Desk, capsys: Any, **options: str) -> str:
    given = {
        "portfolio": str(desk.portfolio.id),
        "symbol": "AAA",
        "side": "buy",
        "quantity": "10",
        "actor": "alice",
    }
    call_command("place_order", *(f"--{name}={value}" for name, value in (given | options).items()))
    return str(capsys.readouterr().out).strip()


def test_the_command_prints_the_trades_id(desk: Desk, capsys: Any) -> None:
    printed = command(desk, capsys)
    (trade,) = desk.trades()
    assert (printed, trade.actor, trade.origin) == (str(trade.id), "user:alice", "manual")


def test_the_command_tells_the_refusal_with_its_code_and_ends_with_one(desk: Desk, capsys: Any) -> None:
    limit(999, scope="portfolio", scope_id=desk.portfolio.id)
    with pytest.raises(CommandError, match=r"^MAX_ORDER_VALUE: value=1000 limit=999$") as caught:
        command(desk, capsys)
    assert caught.value.returncode == 1
    assert [row.code for row in desk.decisions()] == ["MAX_ORDER_VALUE"]


WRONG = {
    "actor=nobody": "actor: there is no user",
    "quantity=ten": "quantity: 'ten' is no number",
    "quantity=1.5": "The nearest below is 1.",
    "symbol=AAB": "Did you mean AAA?",
    "portfolio=00000000-0000-4000-8000-000000000000": "There is no portfolio",
    "portfolio=mine": "invalid UUID",
}


def test_the_command_names_what_is_wrong(desk: Desk, capsys: Any) -> None:
    for option, told in WRONG.items():
        name, value = option.split("=")
        with pytest.raises(CommandError) as caught:
            command(desk, capsys, **{name: value})
        assert told in str(caught.value), option


def test_a_portfolio_that_is_none_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        place_trade(portfolio_id=desk.session.id, symbol="AAA", side="buy", quantity=D(1), actor=desk.owner)
