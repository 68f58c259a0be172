"""What a provider of market data says that companies do to their shares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A dividend of `amount` for each unit, or a split of `new_units` for `old_units`; from the open of `ex_day` (the
    exchange's) on the price counts without it. `other`: what else it is, which we have no books for (a spin-off, a
    merger): people must see to it. `external_id` is the same whenever the same is said, and begins with the name of its
    source and a colon."""

    external_id: str
    symbol: str
    ex_day: date
    amount: Decimal | None = None
    new_units: int | None = None
    old_units: int | None = None
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Announced):
    """What is recorded, whoever told it."""

    withdrawn: bool


def news(
    *, told: Sequence[Announced], recorded: Sequence[Recorded]
) -> Iterator[tuple[Announced, Recorded | None]]:
    """What of `told` is not recorded, each with the record that it seems to correct, which is for people to judge.

    A record stands for the announcement of its id, or else for one dividend of its symbol, day and amount: somebody
    wrote it down by hand, or its source gave it another id. What people have withdrawn stands for it, too: they have
    the last word. A dividend seems to correct one of its source for the same day that is told no more.
    """
    of_id = {one.external_id: one for one in recorded}
    ids = {one.external_id for one in told}
    left = [one for one in recorded if one.amount is not None and one.external_id not in ids]
    unknown = []
    for one in told:
        known = of_id.get(one.external_id)
        if known is not None:
            if not known.withdrawn and _facts(known) != _facts(one):
                yield one, known
        elif (same := next((row for row in left if _facts(row) == _facts(one)), None)) is not None:
            left.remove(same)
        else:
            unknown.append(one)
    for one in unknown:
        former = next((row for row in left if _is_former(row, one)), None)
        if former is not None:
            left.remove(former)
        yield one, former


def _facts(one: Announced) -> tuple[object, ...]:
    return one.symbol, one.ex_day, one.amount, one.new_units, one.old_units


def _is_former(row: Announced, one: Announced) -> bool:
    source = one.external_id.partition(":")[0] + ":"
    return (
        one.amount is not None
        and (row.symbol, row.ex_day) == (one.symbol, one.ex_day)
        and row.external_id.startswith(source)
    )


class Announces(Protocol):
    def announced(self, *, symbols: Sequence[str], first: date, last: date) -> Sequence[Announced]:
        """All with an ex day from `first` to `last`, both included.

        May ask somebody over the network, within a deadline of its own, and may raise whatever goes wrong.
        """
