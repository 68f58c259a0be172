"""Connecting a portfolio to an account at a real broker, and taking it back to paper.

The keys are tried before anything is written, with no transaction and no lock open: a broker that hangs holds nobody
up. What it told is written afterwards under the portfolio's lock, where the conditions are looked at again. From then
on the broker's account is the portfolio's: so neither may hold anything or have orders, and the books' cash is brought
to the broker's by an ordinary deposit or withdrawal.

Connecting the account that is connected already only replaces its keys; that is possible at any time.
"""

import contextlib
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound, Unavailable, Unprocessable
from foundation.wakeups import wake_on_commit
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from portfolios.core.access import Action
from portfolios.models import BrokerAccount, Portfolio, Position
from portfolios.selectors import visible_portfolio
from portfolios.services.books import Books, open_books
from portfolios.services.credentials import (
    ApiKeys,
    checked_keys,
    forget_credentials,
    require_sealing_key,
    seal_credentials,
)
from portfolios.services.equity import note_flow
from portfolios.services.marks import shift_equity
from portfolios.services.portfolios import CASH_BOUND
from sessions.models import TradingSession
from trading.brokers.connections import alpaca_broker
from trading.brokers.protocol import AskFailed, BadReport, BrokerAccountState, NotConnected
from trading.core.order_states import OPEN
from trading.models import AutoTrade
from trading.services.breaks import end_of_connection

CONNECTABLE = (BrokerAccount.Broker.ALPACA,)
RECONCILE = "trading.tasks.reconcile_due"
COLUMNS = ("broker", "is_live", "account_number", "connected_at", "activities_since")


@dataclass(frozen=True)
class _Found:
    """What the broker said of the account whose keys we have."""

    state: BrokerAccountState
    positions: int
    orders: int


def connect_account(
    *, portfolio_id: uuid.UUID, broker: str, is_live: bool, key_id: str, secret: str, actor: AbstractBaseUser
) -> BrokerAccount:
    """The portfolio's account, connected. Not to be called inside a transaction: it speaks to the broker.

    Owners and staff connect a paper account at the broker, only staff one with real money. Raises NotFound, Forbidden,
    InvalidInput, Conflict (the present state), Unprocessable (the broker refuses the keys, or its account does not
    fit), Unavailable (it did not answer, or nothing that can be true).
    """
    _require_right(actor, portfolio_id, is_live=is_live)
    if broker not in CONNECTABLE:
        raise InvalidInput(
            f"broker: there is no connection to {broker!r}.",
            errors=[
                {
                    "path": "broker",
                    "message": "There is no connection to it.",
                    "suggestion": f"Known are: {', '.join(CONNECTABLE)}.",
                }
            ],
        )
    keys = checked_keys(key_id=key_id, secret=secret)
    require_sealing_key()
    if is_live and not settings.ALLOW_LIVE_TRADING:
        raise Conflict(
            "Real money is not allowed in this installation: set ALLOW_LIVE_TRADING=1 and restart.",
            code="live_not_allowed",
        )
    account = BrokerAccount.objects.filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise NotFound("This portfolio has no account.")
    if account.broker == BrokerAccount.Broker.PAPER:
        _require_idle(portfolio_id)  # looked at again under the lock; here it spares the broker a question
    found = _ask(keys, is_live=is_live)
    with transaction.atomic():
        books = open_books([portfolio_id])
        account = BrokerAccount.objects.select_for_update(no_key=True).get(portfolio_id=portfolio_id)
        same = (broker, is_live, found.state.account_number)
        if (account.broker, account.is_live, account.account_number) == same:
            event = _replace_keys(account, keys, actor)
            append([event])
        else:
            append(_connect(account, books, found, broker=broker, is_live=is_live, keys=keys, actor=actor))
    return account


@transaction.atomic
def disconnect_account(*, portfolio_id: uuid.UUID, actor: AbstractBaseUser) -> BrokerAccount:
    """Back to the paper market; the keys are forgotten, the cash stays as the books have it.

    The broker is not asked: it must be possible with keys that are refused. Nothing happens to an account that is on
    paper already. Raises NotFound, Forbidden, Conflict.
    """
    live = BrokerAccount.objects.filter(portfolio_id=portfolio_id, is_live=True).exists()
    _require_right(actor, portfolio_id, is_live=live)
    open_books([portfolio_id])
    account = BrokerAccount.objects.select_for_update(no_key=True).filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise NotFound("This portfolio has no account.")
    _require_right(actor, portfolio_id, is_live=account.is_live)
    if account.broker == BrokerAccount.Broker.PAPER:
        return account
    _require_idle(portfolio_id)
    was = {
        "broker": account.broker, "is_live": account.is_live, "account_number": account.account_number,
        "actor": actor.get_username(),
    }  # fmt: skip
    forget_credentials(account=account)
    account.broker, account.is_live, account.account_number = BrokerAccount.Broker.PAPER, False, ""
    account.connected_at = account.activities_since = None
    account.save(update_fields=COLUMNS)
    told = f"{actor.get_username()} disconnected the account from {was['broker']}: it trades on paper"
    append(
        [
            Event(
                portfolio_id,
                "account.disconnected",
                database_now(),
                was,
                AlertSpec("warning", told),
            )
        ]
    )
    return account


def _require_right(actor: AbstractBaseUser, portfolio_id: uuid.UUID, *, is_live: bool) -> None:
    """Raises NotFound for what is not the actor's to see, Forbidden for what is not his to do."""
    action = Action.CONNECT_REAL_MONEY if is_live else Action.CONNECT_BROKER
    visible_portfolio(actor, portfolio_id, action=action)


def _require_idle(portfolio_id: uuid.UUID) -> None:
    """Raises Conflict unless nothing of the portfolio is with the broker that it has now."""
    if TradingSession.objects.filter(portfolio_id=portfolio_id, status__in=TradingSession.RUNNING).exists():
        raise Conflict("A session of this portfolio runs: stop it first.", code="session_running")
    if AutoTrade.objects.filter(
        portfolio_id=portfolio_id, status__in=[str(state) for state in OPEN]
    ).exists():
        raise Conflict("A trade of this portfolio is open: cancel it, or let it end.", code="trade_open")
    if Position.objects.filter(portfolio_id=portfolio_id).exclude(quantity=0).exists():
        raise Conflict("This portfolio holds something: sell it first.", code="position_open")


def _ask(keys: ApiKeys, *, is_live: bool) -> _Found:
    """Try the keys. Raises Unprocessable, Unavailable."""
    try:
        with contextlib.closing(alpaca_broker(is_live=is_live, keys=keys)) as broker:
            return _Found(
                state=broker.account(), positions=len(broker.positions()), orders=len(broker.open_orders())
            )
    except NotConnected as error:
        raise Unprocessable(
            f"{error} Look whether they are keys of {'a live' if is_live else 'a paper'} account.",
            code="keys_refused",
        ) from None
    except AskFailed as error:
        raise Unavailable(f"The broker did not answer: {error}. Nothing was changed; try again.") from None
    except BadReport as error:
        raise Unavailable(f"What the broker says cannot be true: {error}. Nothing was changed.") from None


def _require_fit(found: _Found, portfolio: Portfolio) -> None:
    """Raises Unprocessable unless the books can begin where the broker's account stands."""
    state = found.state
    for fits, code, told in (
        (not state.trading_objection, "trading_blocked", f"It takes no orders: {state.trading_objection}."),
        (
            state.currency == portfolio.base_currency,
            "other_currency",
            f"It is kept in {state.currency}, the portfolio in {portfolio.base_currency}.",
        ),
        (
            found.positions == 0,
            "broker_holds",
            f"It holds {found.positions} positions: sell them there first.",
        ),
        (found.orders == 0, "broker_orders", f"It has {found.orders} open orders: cancel them there first."),
        (
            0 <= state.cash < CASH_BOUND,
            "broker_cash",
            "Its cash is below zero, or more than the books can hold.",
        ),
    ):
        if not fits:
            raise Unprocessable(f"The account at the broker does not fit. {told}", code=code)


def _connect(
    account: BrokerAccount, books: Books, found: _Found, *, broker: str, is_live: bool, keys: ApiKeys,
    actor: AbstractBaseUser,
) -> list[Event]:  # fmt: skip
    """The portfolio is locked; all or nothing. Raises Conflict, Unprocessable."""
    portfolio, state = books.portfolios[account.portfolio_id], found.state
    _require_right(actor, portfolio.id, is_live=is_live or account.is_live)
    _require_idle(portfolio.id)
    _require_fit(found, portfolio)
    account.broker, account.is_live, account.account_number = broker, is_live, state.account_number
    account.connected_at, account.activities_since = database_now(), None
    try:
        with transaction.atomic():
            account.save(update_fields=COLUMNS)
    except IntegrityError:
        raise Conflict(
            "Another portfolio is connected to this account: one account serves one portfolio.",
            code="account_taken",
        ) from None
    seal_credentials(account=account, keys=keys, actor=actor)
    wake_on_commit(RECONCILE, queue="broker")  # which notes the money that has moved there until now
    cash = state.cash + state.accrued  # what is still to be charged comes as an activity, and is booked then
    events = [*end_of_connection(account_id=account.pk), *_bring_cash(books, portfolio, cash, actor)]
    payload = {
        "broker": broker, "is_live": is_live, "account_number": state.account_number, "key": keys.hint,
        "cash": cash, "currency": state.currency, "actor": actor.get_username(),
    }  # fmt: skip
    money = "real money" if is_live else "play money"
    told = f"{actor.get_username()} connected {broker} account {state.account_number} ({money})"
    alert = AlertSpec("critical" if is_live else "warning", told)
    return [*events, Event(portfolio.id, "account.connected", database_now(), payload, alert)]


def _bring_cash(books: Books, portfolio: Portfolio, cash: Decimal, actor: AbstractBaseUser) -> list[Event]:
    """To what the broker says, by an ordinary entry."""
    difference = cash - portfolio.cash
    if not difference:
        return []
    memo = "Cash as the broker had it when the account was connected"
    if difference > 0:
        entry_id, kind = books.deposit(portfolio.id, amount=difference, memo=memo), "cash.deposited"
    else:
        entry_id, kind = books.withdraw(portfolio.id, amount=-difference, memo=memo), "cash.withdrawn"
    books.save()
    shift_equity(portfolio.id, amount=difference)
    note_flow(portfolio.id)
    payload = {
        "entry_id": entry_id, "amount": abs(difference), "currency": portfolio.base_currency,
        "cash": portfolio.cash, "actor": actor.get_username(),
    }  # fmt: skip
    return [Event(portfolio.id, kind, database_now(), payload)]


def _replace_keys(account: BrokerAccount, keys: ApiKeys, actor: AbstractBaseUser) -> Event:
    seal_credentials(account=account, keys=keys, actor=actor)
    payload = {
        "broker": account.broker, "account_number": account.account_number, "key": keys.hint,
        "actor": actor.get_username(),
    }  # fmt: skip
    told = f"{actor.get_username()} replaced the keys of {account.broker} account {account.account_number}"
    return Event(
        account.portfolio_id, "account.keys_replaced", database_now(), payload, AlertSpec("warning", told)
    )
