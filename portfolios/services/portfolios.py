"""Making portfolios, letting people in, and moving money in and out."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.money import CENT
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from portfolios.core.access import Action, Role, may, roles_of
from portfolios.models import BrokerAccount, Member, Portfolio
from portfolios.selectors import needs_four_eyes, visible_portfolio
from portfolios.services.books import open_books
from portfolios.services.equity import note_flow
from portfolios.services.marks import shift_equity
from portfolios.standing import require_anywhere, standing_anywhere

# The books' columns are NUMERIC(20,8).
CASH_BOUND = Decimal(10) ** 12


def _event(portfolio_id: uuid.UUID, kind: str, at: datetime, **payload: Any) -> Event:
    return Event(stream=portfolio_id, kind=kind, at=at, payload=payload)


def _amount(value: Decimal) -> Decimal:
    in_range = value.is_finite() and 0 < value < CASH_BOUND
    if not in_range or value != value.quantize(CENT):
        raise InvalidInput(
            f"amount: must be positive, in whole cents and below 10^12, got {value}.",
            errors=[{"path": "amount", "message": "must be positive, in whole cents and below 10^12"}],
        )
    return value


@transaction.atomic
def create_portfolio(*, name: str, owner: AbstractBaseUser, base_currency: str = "USD") -> Portfolio:
    """A portfolio with a paper account and its owner as the first member."""
    portfolio = Portfolio.objects.create(name=name, base_currency=base_currency)
    BrokerAccount.objects.create(portfolio=portfolio)
    Member.objects.create(portfolio=portfolio, user_id=owner.pk, role=Role.OWNER)
    append([_event(portfolio.id, "portfolio.created", database_now(), name=name, owner=owner.get_username())])
    return portfolio


@transaction.atomic
def set_member(
    *, portfolio: Portfolio, user: AbstractBaseUser, role: str, actor: AbstractBaseUser | None
) -> Member:
    """Let a user in, or change his role; the same role again changes nothing.

    Where four eyes are needed only a superuser gives somebody a role that approves who has none: else one person would
    appoint the other. `actor` None: the system. Raises InvalidInput, NotFound, Forbidden (not his to do), Conflict
    (the last owner, four eyes).
    """
    if role not in set(Role):
        raise InvalidInput(f"role: must be one of {', '.join(Role)}, got {role!r}.")
    _lock_for(actor, portfolio.pk)
    known = Member.objects.filter(portfolio=portfolio, user_id=user.pk).first()
    if known is not None and known.role == role:
        return known
    if actor is not None:
        _keep_two_apart(actor, portfolio.pk, was=known.role if known is not None else None, role=role)
    if known is not None and role != Role.OWNER:
        _keep_an_owner(known)
    member, _ = Member.objects.update_or_create(portfolio=portfolio, user_id=user.pk, defaults={"role": role})
    payload = {
        "user": user.get_username(),
        "role": role,
        "actor": actor.get_username() if actor else "system",
    }
    append([_event(portfolio.id, "member.set", database_now(), **payload)])
    return member


@transaction.atomic
def remove_member(*, portfolio: Portfolio, user: AbstractBaseUser, actor: AbstractBaseUser | None) -> None:
    """Take a user's access away; his sockets close within seconds. `actor` None: the system.

    Raises NotFound, Forbidden (not his to do), Conflict (the last owner).
    """
    _lock_for(actor, portfolio.pk)
    member = Member.objects.filter(portfolio=portfolio, user_id=user.pk).first()
    if member is None:
        raise NotFound(f"{user.get_username()} is no member of this portfolio.")
    _keep_an_owner(member)
    member.delete()
    payload = {"user": user.get_username(), "actor": actor.get_username() if actor else "system"}
    append([_event(portfolio.id, "member.removed", database_now(), **payload)])


def _lock_for(actor: AbstractBaseUser | None, portfolio_id: uuid.UUID) -> None:
    """Under the lock it is asked again whether he is an owner: another one may just have removed him."""
    Portfolio.objects.select_for_update(no_key=True).get(pk=portfolio_id)
    if actor is not None:
        visible_portfolio(actor, portfolio_id, action=Action.MANAGE_MEMBERS)


def _keep_two_apart(actor: AbstractBaseUser, portfolio_id: uuid.UUID, *, was: str | None, role: str) -> None:
    approving = roles_of(Action.APPROVE)
    appoints = role in approving and was not in approving
    if not appoints or may(Action.APPOINT_SECOND_PERSON, standing_anywhere(actor)):
        return
    if needs_four_eyes([portfolio_id]):
        raise Conflict(
            f"Changes wait for a second person here, so only a superuser lets in a new {role}: who proposes a change "
            "does not choose who approves it.",
            code="four_eyes",
        )


def _keep_an_owner(member: Member) -> None:
    """A portfolio without an owner could not be managed by anybody."""
    others = Member.objects.filter(portfolio_id=member.portfolio_id, role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise Conflict("This is the last owner: make somebody else an owner first.", code="last_owner")


@transaction.atomic
def set_four_eyes(*, portfolio_id: uuid.UUID, enabled: bool, actor: AbstractBaseUser) -> Portfolio:
    """Whether changes of the portfolio's rules and limits wait for a second person's approval.

    What is in force when it is turned on stays in force. Only a superuser turns it off (who else could approve
    alone what two must), and nobody does while real money is at stake. Nothing happens when it is so already.
    Raises NotFound, Forbidden, Conflict.
    """
    portfolio = Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound("There is no such portfolio.")
    if not enabled:
        require_anywhere(actor, Action.END_FOUR_EYES)
        if BrokerAccount.objects.filter(portfolio=portfolio, is_live=True).exists():
            raise Conflict("With a live account every change needs a second person.", code="live_account")
    if portfolio.four_eyes != enabled:
        portfolio.four_eyes = enabled
        portfolio.save(update_fields=["four_eyes"])
        name = actor.get_username()
        kind, severity, how = (
            ("four_eyes.enabled", "info", "wait for a second person's approval from now on")
            if enabled
            else ("four_eyes.disabled", "warning", "take effect without approval from now on")
        )
        alert = AlertSpec(severity, f"Changes of rules and limits {how}, says {name}")  # type: ignore[arg-type]
        append([Event(portfolio.id, kind, database_now(), {"actor": name}, alert)])
    return portfolio


@transaction.atomic
def deposit(
    *, portfolio_id: uuid.UUID, amount: Decimal, actor: AbstractBaseUser | None, memo: str = ""
) -> None:
    """Money comes in: cash against capital. Raises InvalidInput, Conflict (more cash than the books can hold)."""
    amount = _amount(amount)
    books = open_books([portfolio_id])
    if books.portfolios[portfolio_id].cash + amount >= CASH_BOUND:
        raise Conflict("With this deposit the cash would reach 10^12, more than the books can hold.")
    entry_id = books.deposit(portfolio_id, amount=amount, memo=memo)
    books.save()
    shift_equity(portfolio_id, amount=amount)
    note_flow(portfolio_id)
    _record(books.portfolios[portfolio_id], "cash.deposited", entry_id, amount, actor)


@transaction.atomic
def withdraw(
    *, portfolio_id: uuid.UUID, amount: Decimal, actor: AbstractBaseUser | None, memo: str = ""
) -> None:
    """Money goes out, at most the free cash. Raises InvalidInput, Conflict (more than is free)."""
    books = open_books([portfolio_id])
    entry_id = books.withdraw(portfolio_id, amount=_amount(amount), memo=memo)
    books.save()
    shift_equity(portfolio_id, amount=-amount)
    note_flow(portfolio_id)
    _record(books.portfolios[portfolio_id], "cash.withdrawn", entry_id, amount, actor)


def _record(
    portfolio: Portfolio, kind: str, entry_id: uuid.UUID, amount: Decimal, actor: AbstractBaseUser | None
) -> None:
    payload = {
        "entry_id": entry_id, "amount": amount, "currency": portfolio.base_currency, "cash": portfolio.cash,
        "actor": actor.get_username() if actor else "system",
    }  # fmt: skip
    append([_event(portfolio.id, kind, database_now(), **payload)])
