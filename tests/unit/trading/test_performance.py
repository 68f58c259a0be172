from decimal import Decimal

from trading.core.performance import ClosedTrade, summarise

D = Decimal


def test_a_session_without_trades_has_no_rates() -> None:
    told = summarise([], unrealised=D(0))
    assert (told["total_trades"], told["win_rate"], told["profit_factor"]) == (0, None, None)


def test_profits_losses_and_fees() -> None:
    trades = [
        ClosedTrade("buy", D(0), D(1)), ClosedTrade("sell", D(100), D(1)), ClosedTrade("sell", D(-40), D(1)),
        ClosedTrade("sell", D(60), D(1)),
    ]  # fmt: skip
    told = summarise(trades, unrealised=D(5))
    assert told["realised_pnl"] == D(119)  # 100 - 40 + 60, less the buy's fee
    assert told["fees"] == 4
    assert (told["total_trades"], told["successful_trades"]) == (4, 2)
    assert told["win_rate"] == D("0.6667") and told["profit_factor"] == D(4)
    assert told["unrealised_pnl"] == 5
