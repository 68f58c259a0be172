"""The steps of an order on the real rows: asked for, sent, told of, ended. Each is one transaction of the services."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction

from journal.core.events import Event
from journal.services.journal import append
from market.models import Instrument
from market.services import snapshots
from portfolios.models import Portfolio
from portfolios.services.books import Books, open_books
from rules.models import RuleVersion
from sessions.models import TradingSession
from trading.core.halts import OrderScopes, forbids, strictest
from trading.core.risk import Approved, Refused, findings_as_rows
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.decisions import Draft, Outcome, record
from trading.services.facts import market_view
from trading.services.fresh_state import FreshState, fresh_states, halts_in_force
from trading.services.order_management import Intent, end_pending, make_trade, move, store_trades
from trading.services.risk_management import OrderWish, validate_trade

FEE = Decimal("0.0001")
Origin = AutoTrade.Origin


@dataclass
class Batch:
    """Orders asked for one after another, each checked against what those before it left."""

    state: FreshState
    version: RuleVersion
    drafts: list[Draft] = field(default_factory=list)
    trades: list[AutoTrade] = field(default_factory=list)

    def ask(
        self, side: str, instrument: Instrument, quantity: Decimal, *, by_rule: bool = False, protective: bool = False
    ) -> tuple[Approved | Refused, AutoTrade | None]:  # fmt: skip
        """The verdict, and on approval the trade, which is stored when the batch ends."""
        price = self.state.price(instrument)
        assert price is not None and self.state.session is not None
        rule_id = self.version.rule_id if by_rule else None
        wish = OrderWish(side, quantity, instrument, price, rule_id=rule_id, protective=protective)
        verdict = validate_trade(self.state, wish)
        refused = isinstance(verdict, Refused)
        draft = Draft(
            portfolio_id=self.state.portfolio_id, session_id=self.state.session.id, rule_id=rule_id,
            rule_version_id=self.version.pk if by_rule else None, instrument_id=instrument.id,
            symbol=instrument.symbol, outcome=Outcome.REFUSED if refused else Outcome.TRADED,
            explanation={"sentence": "Alice asked for it."}, checks=list(findings_as_rows(verdict.findings)),
            code=verdict.code.value if isinstance(verdict, Refused) else "",
            detail=verdict.detail if isinstance(verdict, Refused) else "as she wished",
        )  # fmt: skip
        self.drafts.append(draft)
        if isinstance(verdict, Refused):
            return verdict, None
        origin = Origin.RULE if by_rule else Origin.FLATTEN if protective else Origin.MANUAL
        intent = Intent(
            decision_id=draft.id, rule_id=rule_id, rule_version_id=draft.rule_version_id, approved=verdict,
            instrument=instrument, origin=origin, actor="user:alice",
        )  # fmt: skip
        self.trades.append(make_trade(self.state, intent))
        return verdict, self.trades[-1]


@contextmanager
def batch(portfolio: Portfolio, session: TradingSession, version: RuleVersion) -> Iterator[Batch]:
    """A batch under the portfolio's lock, on the newest snapshot; stored at its end."""
    with batches([portfolio], {portfolio.id: session}, {portfolio.id: version}) as opened:
        yield opened[portfolio.id]


@contextmanager
def batches(
    portfolios: list[Portfolio], sessions: dict[uuid.UUID, TradingSession], versions: dict[uuid.UUID, RuleVersion]
) -> Iterator[dict[uuid.UUID, Batch]]:  # fmt: skip
    """Batches of several portfolios in one transaction, however they are named."""
    with transaction.atomic():
        books = open_books([portfolio.id for portfolio in portfolios])
        snapshot = snapshots.current()
        assert snapshot is not None
        states = fresh_states(
            books, sessions={p.id: sessions[p.id] for p in portfolios}, view=market_view(snapshot)
        )
        opened = {key: Batch(state, versions[key]) for key, state in states.items()}
        yield opened
        drafts = [draft for each in opened.values() for draft in each.drafts]
        recorded = record(drafts, snapshot=snapshot, previous_slot=snapshot.version - 1)
        store_trades([trade for each in opened.values() for trade in each.trades])
        books.save()
        append(recorded.events)


@contextmanager
def _trade(trade_id: uuid.UUID) -> Iterator[tuple[Books, AutoTrade, list[Event]]]:
    """A trade under its portfolio's lock; the books and the events are kept at the end."""
    with transaction.atomic():
        portfolio_id = AutoTrade.objects.values_list("portfolio_id", flat=True).get(pk=trade_id)
        books, events = open_books([portfolio_id]), list[Event]()
        yield books, AutoTrade.objects.get(pk=trade_id), events
        books.save()
        append(events)


def send(trade_id: uuid.UUID) -> None:
    """Claim a pending trade, or one whose id is to be sent again: the gate is asked once more, as any sender must."""
    with _trade(trade_id) as (books, trade, events):
        scopes = OrderScopes(
            account_id=trade.account_id, portfolio_id=trade.portfolio_id, session_id=trade.session_id,
            rule_id=trade.rule_id, symbol=trade.symbol,
        )  # fmt: skip
        halts = halts_in_force(
            [trade.portfolio_id], account_ids=[trade.account_id], session_ids=[trade.session_id]
        )
        halt = strictest(halts, scopes)
        if not forbids(halt, reduces=trade.trade_type == "sell"):
            assert move([trade], trade.status, "submitting") == [trade]
        elif trade.status == "pending":
            assert halt is not None
            events += end_pending([trade], books=books, reason=f"HALTED: {halt.reason}")


def tell_fill(
    trade_id: uuid.UUID, *, execution_id: str, quantity: Decimal, price: Decimal, path: tuple[str, ...], times: int = 1
) -> None:  # fmt: skip
    """The broker tells of an execution, so many times in one breath."""
    with _trade(trade_id) as (books, trade, events):
        value = (quantity * price).quantize(Decimal("0.00000001"))
        fill = ReportedFill(
            trade=trade, execution_id=execution_id, quantity=quantity, price=price,
            fee=(value * FEE).quantize(Decimal("0.00000001")), market_at=trade.market_at, path=path,
        )  # fmt: skip
        events += book_fills([fill] * times, books=books)


def take(trade_id: uuid.UUID, *path: str) -> None:
    """Along the path; a final state gives back what was reserved."""
    with _trade(trade_id) as (books, trade, _):
        assert move([trade], *path, reason="the broker said so") == [trade]
        if path[-1] in ("cancelled", "rejected", "expired"):
            books.release(trade.id)
