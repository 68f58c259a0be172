"""What must hold after each step, read from the real rows. The numbers are those of the list of invariants."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from django.db import connection

from portfolios.models import LimitSet, Portfolio, Position, Reservation
from tests.harness.risk_model import (
    FINAL,
    LEGAL,
    MAY_REFUSE_A_SELL,
    BookModel,
    HaltModel,
    Wanted,
    World,
)
from trading.core.risk import Approved, Refused
from trading.models import AutoTrade, Execution
from trading.services.verification import book_differences

LEFT = frozenset(LEGAL) - FINAL - {"pending"} | {"filled"}
# Several moves within one step: a paper batch, and a late fill whose rest ends at once.
IN_ONE_STEP = {
    ("pending", "filled"),
    ("pending", "accepted"),
    ("rejected", "cancelled"),
    ("expired", "cancelled"),
}


def assert_verdict(
    verdict: Approved | Refused, wanted: Wanted, book: BookModel, world: World, halts: list[HaltModel]
) -> None:
    """3, 5 and 13: the answer to one order is the model's, and names itself by value and limit."""
    code = verdict.code.value if isinstance(verdict, Refused) else None
    possible = book.possible(wanted, world, halts)
    assert code in possible, f"{wanted}: {code}, but the model says {possible}"
    failed = [finding.code.value for finding in verdict.findings if not finding.passed]
    assert (code is None) == (not failed) and failed[:1] == ([code] if code else [])
    if isinstance(verdict, Refused):
        assert verdict.detail.startswith(f"{code}: value=") and " limit=" in verdict.detail
    if book.waits_for_doubt(wanted):
        assert "UNKNOWN_OUTSTANDING" in failed
    if wanted.side == "sell" and wanted.quantity <= book.free_units(wanted.symbol):
        assert set(failed) <= MAY_REFUSE_A_SELL - {"INSUFFICIENT_POSITION"}
        modes = {halt.mode for halt in halts if book.covered(wanted, halt)}
        assert "HALTED" not in failed or "halt" in modes


class Invariants:
    """Remembers what was seen before, so that it is found when it changes."""

    def __init__(self, portfolio_ids: Sequence[uuid.UUID]) -> None:
        self.portfolio_ids = portfolio_ids
        self.states: dict[uuid.UUID, str] = {}
        self.client_order_ids: dict[uuid.UUID, str] = {}
        self.sent: set[uuid.UUID] = set()
        self.last_transfer, self.digest = self._ledger(0)[1:]
        rows = LimitSet.objects.order_by("version").values_list("scope", "scope_id", "version")
        self.versions = {(scope, scope_id): version for scope, scope_id, version in rows}

    def check(self, books: Sequence[BookModel], halts: Sequence[HaltModel]) -> None:
        self._orders(books)
        self._nothing_is_sent_after_a_drain(books, halts)
        self._books_are_the_models(books)
        for book in books:
            self._within_limits(book)
        self._ledger_only_grows()
        assert book_differences() == []

    def _orders(self, books: Sequence[BookModel]) -> None:
        """4 and 7: every order has its passing decision, keeps its id, and moves along the table only."""
        trades = list(AutoTrade.objects.filter(portfolio_id__in=self.portfolio_ids).order_by("id"))
        expected = {order.id: order for book in books for order in book.orders.values()}
        assert {trade.id for trade in trades} == set(expected)
        executions = defaultdict(list)
        for trade_id, execution_id in Execution.objects.values_list("trade_id", "execution_id"):
            executions[trade_id].append(execution_id)
        fresh = [trade.id for trade in trades if trade.id not in self.states]
        for trade in trades:
            order, before = expected[trade.id], self.states.get(trade.id, trade.status)
            assert (trade.status, trade.filled_quantity) == (order.state, order.filled), order
            assert sorted(executions[trade.id]) == sorted(order.executions)
            hop = (before, trade.status)
            assert before == trade.status or trade.status in LEGAL[before] or hop in IN_ONE_STEP, hop
            assert self.client_order_ids.setdefault(trade.id, trade.client_order_id) == trade.client_order_id
            self.states[trade.id] = trade.status
            self.sent |= {trade.id} if trade.status in LEFT else set()
        if fresh:
            self._approved(fresh)

    def _approved(self, trade_ids: Sequence[uuid.UUID]) -> None:
        for trade in AutoTrade.objects.filter(id__in=trade_ids).select_related("decision"):
            assert trade.decision.outcome == "traded" and trade.decision.checks
            assert all(check["passed"] for check in trade.decision.checks)
            platform = self.versions["platform", None]
            portfolio = self.versions["portfolio", trade.portfolio_id]
            assert trade.limits_version == f"platform:{platform} portfolio:{portfolio}"
            assert trade.actor and trade.price_age_ms >= 0

    def sent_now(self) -> frozenset[uuid.UUID]:
        """Every order that has ever left for a broker."""
        left = AutoTrade.objects.filter(portfolio_id__in=self.portfolio_ids, status__in=LEFT)
        return frozenset(self.sent | set(left.values_list("id", flat=True)))

    def _nothing_is_sent_after_a_drain(self, books: Sequence[BookModel], halts: Sequence[HaltModel]) -> None:
        """9: until it is released, no order in its scope leaves that had not left when it was drained."""
        for halt in halts:
            if halt.sent is not None:
                mine = {o.id for book in books for o in book.orders.values() if book.stopped_by(halt, o)}
                assert mine & self.sent <= halt.sent, halt

    def _books_are_the_models(self, books: Sequence[BookModel]) -> None:
        """3 and 8: money, holdings and every single reservation; that of an unknown order among them."""
        rows = {str(row.id): row for row in Portfolio.objects.filter(id__in=self.portfolio_ids)}
        held: dict[str, dict[str, tuple[Decimal, Decimal]]] = defaultdict(dict)
        for position in Position.objects.select_related("instrument"):
            place = held[str(position.portfolio_id)]
            place[position.instrument.symbol] = (position.quantity, position.reserved_quantity)
        promised = {row.owner_id: (row.cash, row.quantity) for row in Reservation.objects.all()}
        working = {o.id: (o.cash, o.units) for book in books for o in book.open()}
        assert promised == working
        for book in books:
            row = rows[book.ids["portfolio"]]
            assert (row.cash, row.reserved_cash) == (book.cash, book.reserved())
            for symbol, found in held[book.ids["portfolio"]].items():
                assert found == (book.held(symbol), book.promised(symbol))
            assert {s for s, units in book.units.items() if units} <= set(held[book.ids["portfolio"]])

    def _within_limits(self, book: BookModel) -> None:
        """5: whatever the interleaving, promises are covered and no more is open than may be."""
        assert 0 <= book.reserved() <= book.cash
        assert all(0 <= book.promised(symbol) <= units for symbol, units in book.units.items())
        held = {symbol for symbol, units in book.units.items() if units}
        buying = {order.wanted.symbol for order in book.open() if order.wanted.side == "buy"}
        assert len((held | buying) - book.late) <= book.limits["max_open_positions"]

    def _ledger(self, until: int) -> tuple[str, int, str]:
        """(digest of the transfers up to `until`, the last transfer's id, digest of all)."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY id) FILTER (WHERE id <= %s), '')),"
                " coalesce(max(id), 0), md5(coalesce(string_agg(t::text, '|' ORDER BY id), ''))"
                " FROM ledger_transfers AS t",
                [until],
            )
            row: tuple[str, int, str] = cursor.fetchone()
        return row

    def _ledger_only_grows(self) -> None:
        """8: what stood in the ledger after the step before stands there unchanged."""
        before, last, digest = self._ledger(self.last_transfer)
        assert before == self.digest
        self.last_transfer, self.digest = last, digest
