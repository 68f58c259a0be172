"""Portfolios that hold something, bought through the books themselves."""

import itertools
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from market.models import Instrument
from portfolios.models import CorporateActionBooking, Portfolio, Position
from portfolios.services.books import Fill, open_books
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
