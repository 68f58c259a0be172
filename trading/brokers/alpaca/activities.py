"""What moves an account's cash outside of orders: Alpaca's non-trade activities in our words, by its list of types
(docs.alpaca.markets, account activities).

A type that is not here is told as unreadable, never booked: `MISC`, `CIL`, `REORG`, `MA` and their like change what is
held, too, and what Alpaca invents later may be anything. What moves no cash (a journal of shares, a name change) is no
activity to us, whatever its type.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO
from trading.brokers.alpaca import reading
from trading.brokers.protocol import ActivityKind, BadReport, CashActivity, UnreadableActivity

# Type -> what it is to us, and what Alpaca means by it.
TYPES: dict[str, tuple[ActivityKind, str]] = {
    "FEE": (ActivityKind.FEE, "regulatory and other fees; activity_sub_type names which (REG, TAF, CAT, ...)"),
    "PTC": (ActivityKind.FEE, "a charge that is passed through, as of a depositary receipt"),
    "PTR": (ActivityKind.FEE, "such a charge given back"),
    "DIV": (ActivityKind.DIVIDEND, "cash dividend"),
    "DIVCGL": (ActivityKind.DIVIDEND, "long-term capital gain paid out"),
    "DIVCGS": (ActivityKind.DIVIDEND, "short-term capital gain paid out"),
    "DIVFEE": (ActivityKind.DIVIDEND, "what paying it out cost"),
    "DIVFT": (ActivityKind.DIVIDEND, "foreign tax withheld"),
    "DIVNRA": (ActivityKind.DIVIDEND, "tax withheld of a non-resident"),
    "DIVROC": (ActivityKind.DIVIDEND, "capital paid back"),
    "DIVTW": (ActivityKind.DIVIDEND, "tax withheld"),
    "DIVTXEX": (ActivityKind.DIVIDEND, "tax-exempt dividend"),
    "INT": (ActivityKind.INTEREST, "of cash, or for margin"),
    "INTNRA": (ActivityKind.INTEREST, "tax withheld of a non-resident"),
    "INTTW": (ActivityKind.INTEREST, "tax withheld"),
    "CSD": (ActivityKind.TRANSFER, "cash deposited"),
    "CSW": (ActivityKind.TRANSFER, "cash withdrawn"),
    "CSR": (ActivityKind.TRANSFER, "cash receipt"),
    "TRANS": (ActivityKind.TRANSFER, "CSD or CSW"),
    "JNLC": (ActivityKind.TRANSFER, "cash journaled from or to another account"),
    "ACATC": (ActivityKind.TRANSFER, "cash that came or went with an account's transfer"),
}  # fmt: skip
# The sign that says the same as the type; with the other one nobody knows which of them is wrong.
SIGNS = {"CSD": 1, "CSW": -1}
EXECUTED = frozenset({"executed", "correct"})  # corrected by hand, and as valid
CANCELLED = frozenset({"canceled", "cancelled"})
DETAIL_CHARACTERS_MAX = 200


def activity_of(payload: Mapping[str, Any]) -> CashActivity | UnreadableActivity | None:
    """None: it moves no cash, or is a fill, which another list tells of. Raises BadReport for an id that is none."""
    if not reading.text(payload, "id").isprintable():
        raise reading.bad("id is none", payload)
    kind = _words(payload, "activity_type")
    if kind == "FILL" or (kind not in TYPES and payload.get("net_amount") in (None, "")):
        return None
    amount: Decimal | None = None
    try:
        amount = reading.number(payload, "net_amount").quantize(reading.PLACES)
        return _activity_of(payload, amount) if amount else None
    except BadReport as report:
        told = f"{_words(payload, 'activity_type')} of {_words(payload, 'net_amount')}: {report}"
        return UnreadableActivity(told, payload=report.payload, key=payload["id"], amount=amount)


def _activity_of(payload: Mapping[str, Any], amount: Decimal) -> CashActivity:
    type_ = reading.text(payload, "activity_type")
    if type_ not in TYPES:
        raise reading.bad("Alpaca's activities of this type are not booked by themselves", payload)
    status = payload.get("status") or "executed"
    if status not in EXECUTED | CANCELLED:
        raise reading.bad(f"its status {_words(payload, 'status')} is not known", payload)
    if amount * SIGNS.get(type_, 0) < ZERO:
        raise reading.bad("its sign and its type cannot be", payload)
    currency = payload.get("currency") or ""
    if not isinstance(currency, str):
        raise reading.bad("currency is none", payload)
    names = [type_, *(_words(payload, name) for name in ("activity_sub_type", "symbol", "description"))]
    return CashActivity(
        activity_id=payload["id"],
        kind=TYPES[type_][0],
        amount=amount,
        currency=currency,
        day=reading.day(payload, "date"),
        detail=" ".join(name for name in names if name)[:DETAIL_CHARACTERS_MAX],
        symbol=_words(payload, "symbol"),
        is_cancelled=status in CANCELLED,
    )


def _words(payload: Mapping[str, Any], name: str) -> str:
    """Free text, without what no column takes."""
    value = payload.get(name)
    return "" if value is None else "".join(filter(str.isprintable, str(value)))[:DETAIL_CHARACTERS_MAX]
