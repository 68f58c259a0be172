"""Portfolios that hold something, bought through the books themselves."""

import itertools
import uuid
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from market.models import CorporateAction, Instrument
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import CorporateActionBooking, LedgerTransfer, Portfolio, Position
from portfolios.services.books import Fill, open_books
from portfolios.services.corrections import entry_of, mirror, reverse_entry
from portfolios.services.portfolios import create_portfolio, deposit
from tests.harness.trading import Market

D = Decimal
_executions = itertools.count(1)


@dataclass
class Holder:
    """A portfolio in the market that a test moves by hand."""

    market: Market
    portfolio_id: uuid.UUID

    @classmethod
    def open(cls, market: Market, *, name: str = "Alice's", cash: int = 100_000) -> "Holder":
        owner, _ = get_user_model().objects.get_or_create(username="alice")
        made = create_portfolio(name=name, owner=owner)
        deposit(portfolio_id=made.id, amount=D(cash), actor=owner)
        return cls(market, made.id)

    @transaction.atomic
    def fill(self, side: str, quantity: Any, price: Any, *, symbol: str = "AAA", fee: Any = 0) -> Decimal:
        """At the market's present time; returns what it realised."""
        books = open_books([self.portfolio_id])
        instrument = Instrument.objects.get(symbol=symbol)
        realised = books.book_fill(
            Fill(
                portfolio_id=self.portfolio_id, instrument_id=instrument.pk, symbol=symbol, side=side,
                quantity=D(quantity), price=D(price), fee=D(fee), owner_id=uuid.uuid4(),
                execution_id=f"x{next(_executions)}", market_at=self.market.as_of,
            )
        )  # fmt: skip
        books.save()
        return realised

    @transaction.atomic
    def reserve(self, *, cash: Any = 0, quantity: Any = 0, symbol: str = "AAA") -> uuid.UUID:
        books, owner_id = open_books([self.portfolio_id]), uuid.uuid4()
        books.reserve(
            owner_id=owner_id, portfolio_id=self.portfolio_id,
            instrument_id=Instrument.objects.get(symbol=symbol).pk, cash=D(cash), quantity=D(quantity),
        )  # fmt: skip
        books.save()
        return owner_id

    @transaction.atomic
    def release(self, owner_id: uuid.UUID) -> None:
        books = open_books([self.portfolio_id])
        books.release(owner_id)
        books.save()

    @property
    def portfolio(self) -> Portfolio:
        return Portfolio.objects.get(pk=self.portfolio_id)

    def position(self, symbol: str = "AAA") -> Position:
        return Position.objects.get(portfolio_id=self.portfolio_id, instrument__symbol=symbol)

    def waiting(self) -> list[str]:
        """What its corporate actions wait for."""
        rows = CorporateActionBooking.objects.filter(portfolio_id=self.portfolio_id, booked_at=None)
        return list(rows.order_by("id").values_list("waiting_for", flat=True))

    @transaction.atomic
    def take_back_fill(self, side: str, *, realised: Any = 0) -> None:
        """Its newest fill, as the trading room does for the fill's execution; `realised`: what it had."""
        account = {"buy": "debit_account", "sell": "credit_account"}[side]
        newest = LedgerTransfer.objects.filter(
            portfolio_id=self.portfolio_id, kind="fill", **{account: "holdings"}
        ).latest("id")
        books = open_books([self.portfolio_id])
        mirror(books, entry_of(self.portfolio_id, newest.entry_id), realised=D(realised), memo="busted")
        books.save()

    def take_back(self, kind: str) -> None:
        """Its newest entry of a kind that is no fill."""
        rows = LedgerTransfer.objects.filter(portfolio_id=self.portfolio_id, kind=kind)
        entry_id = rows.latest("id").entry_id
        reverse_entry(portfolio_id=self.portfolio_id, entry_id=entry_id, actor=None, reason="wrong")


def tell(market: Market, **facts: Any) -> CorporateAction:
    """An action of AAA whose ex time is the market's next tick, which comes at once."""
    facts = {"external_id": f"a{CorporateAction.objects.count()}", "symbol": "AAA", **facts}
    facts.setdefault("ex_at", market.as_of + timedelta(minutes=1))
    action, _ = record(NewCorporateAction(**facts), actor=None)
    market.tick()
    return action


def dividend(market: Market, amount: str = "0.25", **more: Any) -> CorporateAction:
    return tell(market, kind="dividend", amount=D(amount), **more)


def split(market: Market, new: int, old: int, price: str | None = None, **more: Any) -> CorporateAction:
    in_lieu = D(price) if price else None
    return tell(market, kind="split", new_units=new, old_units=old, cash_in_lieu_price=in_lieu, **more)
