"""Sessions trade inside their universe only: by exchange, by tag, and by what these come to mean while they run."""

import importlib
from typing import Any

import pytest
from django.db import connection

from foundation.errors import Conflict, InvalidInput
from market.models import Exchange, Instrument
from market.services.instruments import set_tags
from portfolios.models import BrokerAccount
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import SYMBOLS, Desk, Market
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration


def advised(market: Market) -> Market:
    """Everything is a strong buy: only the universe keeps a session from buying."""
    for symbol in SYMBOLS:
        market.advise(symbol)
    return market


def bought(desk: Desk) -> set[str]:
    return {trade.symbol for trade in desk.trades()}


def test_by_exchange(market: Market) -> None:
    tokyo = Exchange.objects.create(code="XTKS", name="Tokyo", timezone="Asia/Tokyo")
    Instrument.objects.filter(symbol="BBB").update(exchange=tokyo)
    market.tick()
    abroad = Desk.open(market, owner="alice", config={"universe": {"exchanges": ["XTKS"]}})
    at_home = Desk.open(market, owner="bob", config={"universe": {"exchanges": ["XTST"], "symbols": ["BBB"]}})
    advised(market)
    abroad.step()
    assert bought(abroad) == {"BBB"}
    assert bought(at_home) == {"AAA", "BBB", "CCC"}


def test_a_symbol_that_is_tagged_later_joins_and_one_that_loses_its_tag_leaves(market: Market) -> None:
    set_tags(symbol="AAA", tags=["chips"], actor=None)
    market.tick()
    desk = Desk.open(market, config={"universe": {"tags": ["chips"]}})
    set_tags(symbol="AAA", tags=[], actor=None)
    advised(market)
    desk.step()
    assert bought(desk) == set()  # an empty universe is nothing, not everything
    set_tags(symbol="CCC", tags=["chips"], actor=None)
    desk.step()
    assert bought(desk) == {"CCC"}


def test_a_tag_that_nothing_bears_is_a_typing_mistake(desk: Desk) -> None:
    set_tags(symbol="AAA", tags=["chips"], actor=None)
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    with pytest.raises(InvalidInput) as caught:
        start(desk, universe={"tags": ["chip"]})
    (error,) = caught.value.errors or []
    assert (error["path"], error["suggestion"]) == ("config.universe.tags[0]", "did you mean 'chips'?")


@pytest.mark.parametrize(
    ("is_live", "mode", "cure"),
    [
        (False, "live", "connect a live account first"),  # its money is play money
        (True, "paper", 'say "mode": "live"'),  # its money is real
        (True, None, 'say "mode": "live"'),  # left out is paper
    ],
)
def test_a_mode_that_the_account_is_not_in_is_a_conflict(
    desk: Desk, is_live: bool, mode: str | None, cure: str
) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    if is_live:
        BrokerAccount.objects.filter(portfolio=desk.portfolio).update(broker="alpaca", is_live=True)
    with pytest.raises(Conflict, match=cure) as caught:
        start(desk, **({"mode": mode} if mode else {}))
    assert caught.value.code == "mode_mismatch"


def test_real_money_is_traded_when_the_config_says_so(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    BrokerAccount.objects.filter(portfolio=desk.portfolio).update(broker="alpaca", is_live=True)
    assert start(desk, mode="live").status == "active"


def test_sessions_that_ran_on_real_money_before_there_were_modes_say_live_now(market: Market) -> None:
    real, stopped, paper = (Desk.open(market, owner=f"owner-{number}") for number in range(3))
    stop_trading_session(session_id=stopped.session.id, actor=stopped.owner)
    finish_stopping()
    BrokerAccount.objects.exclude(portfolio=paper.portfolio).update(broker="alpaca", is_live=True)
    migration = importlib.import_module("sessions.migrations.0002_mode_of_running_sessions")
    with connection.cursor() as cursor:
        cursor.execute(migration.SQL)
    assert [desk.refresh().session.config for desk in (real, stopped, paper)] == [{"mode": "live"}, {}, {}]


def start(desk: Desk, **config: Any) -> Any:
    return start_trading_session(portfolio_id=desk.portfolio.id, config=config, actor=desk.owner)
