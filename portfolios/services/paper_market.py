"""How the paper market treats an account: the only writer of those columns."""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import Event
from journal.services.journal import append
from portfolios.core.paper_market import SETTINGS, fault_of
from portfolios.models import BrokerAccount, Portfolio


def paper_market_of(account: BrokerAccount) -> dict[str, Decimal | int]:
    """Setting -> value."""
    return {setting.name: getattr(account, setting.name) for setting in SETTINGS}


@transaction.atomic
def set_paper_market(
    *, portfolio_id: uuid.UUID, values: Mapping[str, Decimal | int], actor: AbstractBaseUser | None
) -> BrokerAccount:
    """Change what is given, from the next fill on; orders that work already are filled under it, too.

    No money is at stake, so no second person is asked. Nothing happens when it is so already. Raises NotFound,
    InvalidInput (an unknown name, out of range), Conflict (a real broker: it charges what it charges).
    """
    if not Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).exists():
        raise NotFound("There is no such portfolio.")
    account = BrokerAccount.objects.select_for_update(no_key=True).get(portfolio_id=portfolio_id)
    if account.broker != BrokerAccount.Broker.PAPER:
        raise Conflict(
            f"This portfolio trades at {account.broker}: only a paper account has a paper market.", code="real_broker"
        )  # fmt: skip
    wanted = _checked(values)
    before = paper_market_of(account)
    changed = {name: value for name, value in wanted.items() if before[name] != value}
    if not changed:
        return account
    for name, value in changed.items():
        setattr(account, name, value)
    account.save(update_fields=list(changed))
    payload = {
        "account_id": account.id, "actor": actor.get_username() if actor else "system",
        "before": {name: before[name] for name in changed}, "after": changed,
    }  # fmt: skip
    append([Event(portfolio_id, "account.paper_market_set", database_now(), payload)])
    return account


def _checked(values: Mapping[str, Decimal | int]) -> dict[str, Any]:
    known = {setting.name: setting for setting in SETTINGS}
    faults = []
    for name, value in values.items():
        if name not in known:
            faults.append({"path": name, "message": f"Unknown. Known are: {', '.join(known)}."})
        elif (fault := fault_of(known[name], Decimal(value))) is not None:
            faults.append({"path": name, "message": fault})
    if faults:
        texts = "; ".join(f"{fault['path']}: {fault['message']}" for fault in faults)
        raise InvalidInput(texts, errors=faults)
    return {name: Decimal(value) if known[name].places else int(value) for name, value in values.items()}
