"""How long after each kill the work went on: another process of its kind showed itself at work, and the trade that the
dead one had in hand was taken up."""

import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.faults.evidence import Event
from tests.faults.killer import Kill
from tests.faults.watching import COMPONENTS

# Nobody has to do anything about these: they are over, or work at the broker.
AT_REST = frozenset({"accepted", "partially_filled", "filled", "cancelled", "rejected", "expired"})
# What a person's wish to cancel adds to a trade's story takes nothing up that was in the dead one's hand.
WISHES = frozenset({"trade.cancelling", "trade.cancel_requested"})
WORKS_AGAIN = "works again"
BEAT = "beat"
# A process id is given again once all others were; whoever was heard so long ago is another process.
SAME_PROCESS_SECONDS = 600.0


@dataclass(frozen=True)
class Recovered:
    """seconds None: it has not been seen to go on."""

    kill: Kill
    what: str
    seconds: float | None


@dataclass
class Recoveries:
    """signs: component -> (unix time, host:pid). events: of all portfolios. words: trade -> unix times of what was
    exchanged with the broker about it. reconciled: account -> unix times. Who died at a reconciliation had taken it
    up, whoever had died at it before; from then on his own death is measured."""

    signs: Mapping[str, Sequence[tuple[float, str]]]
    events: Sequence[Event]
    words: Mapping[uuid.UUID, Sequence[float]]
    reconciled: Mapping[uuid.UUID, Sequence[float]]

    def __post_init__(self) -> None:
        self._of_trade: dict[uuid.UUID, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.kind.startswith("trade.") and "trade_id" in event.payload:
                self._of_trade[uuid.UUID(event.payload["trade_id"])].append(event)

    def of(self, kills: Sequence[Kill]) -> list[Recovered]:
        found = []
        at_work: dict[uuid.UUID, list[float]] = defaultdict(list)
        for kill in kills:
            if kill.account is not None:
                at_work[kill.account].append(kill.at)
        for kill in kills:
            if kill.line in COMPONENTS and not kill.stopped_seconds:
                found.append(Recovered(kill, f"{kill.line} {WORKS_AGAIN}", self._works_again(kill)))
            for trade_id in kill.trades:
                if self._state_at(trade_id, kill.at) not in AT_REST:
                    found.append(Recovered(kill, f"trade {trade_id}", self._taken_up(trade_id, kill.at)))
            if kill.account is not None:
                times = [*self.reconciled.get(kill.account, ()), *at_work[kill.account]]
                found.append(Recovered(kill, f"account {kill.account}", _first_after(times, kill.at)))
        return found

    def _works_again(self, kill: Kill) -> float | None:
        """By a process that was not there before: another child of its pool goes on meanwhile, and replaces nobody.
        Where none came any more, by any other. Beat's sign is given by whoever carries out a task of its.
        """
        signs = self.signs.get(COMPONENTS[kill.line], ())
        heard = range(
            *(bisect_right(signs, at, key=_when) for at in (kill.at - SAME_PROCESS_SECONDS, kill.at))
        )
        before = {signs[place][1] for place in heard} if kill.line != BEAT else set()
        after = [(at, one) for at, one in signs if at > kill.at and not one.endswith(f":{kill.pid}")]
        return next(
            (at - kill.at for at, one in after if one not in before), after[0][0] - kill.at if after else None
        )

    def _state_at(self, trade_id: uuid.UUID, at: float) -> str:
        """By the journal; before its first entry it is not there at all."""
        before = [event for event in self._of_trade[trade_id] if event.at <= at]
        return str(before[-1].payload["status"]) if before else "filled"

    def _taken_up(self, trade_id: uuid.UUID, at: float) -> float | None:
        events = [event.at for event in self._of_trade[trade_id] if event.kind not in WISHES]
        both = [
            seconds
            for seconds in (_first_after(events, at), _first_after(self.words.get(trade_id, ()), at))
            if seconds is not None
        ]
        return min(both, default=None)


def _when(sign: tuple[float, str]) -> float:
    return sign[0]


def _first_after(times: Sequence[float], at: float) -> float | None:
    ordered = sorted(times)
    place = bisect_right(ordered, at)
    return ordered[place] - at if place < len(ordered) else None


def worst_and_median(recovered: Sequence[Recovered]) -> tuple[float, float]:
    seconds = [one.seconds for one in recovered if one.seconds is not None]
    return (round(max(seconds), 2), round(median(seconds), 2)) if seconds else (0.0, 0.0)


def median_of_work(recovered: Sequence[Recovered]) -> float:
    """Of trades and accounts alone: processes, which are replaced within a second or two, hide in a median what they
    leave behind."""
    return worst_and_median([one for one in recovered if not one.what.endswith(WORKS_AGAIN)])[1]


def worst_by_kind(recovered: Sequence[Recovered]) -> dict[str, float | None]:
    """Of each line of processes until it works again, and of trades and accounts; None where one was not seen to."""
    kinds: dict[str, list[float | None]] = defaultdict(list)
    for one in recovered:
        kinds[one.what.split(" ")[0]].append(one.seconds)
    return {
        kind: None if None in seconds else round(max(s for s in seconds if s is not None), 2)
        for kind, seconds in sorted(kinds.items())
    }
