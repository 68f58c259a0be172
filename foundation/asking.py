"""Questions to the database that do not wait for each other's answers, sent in one trip.

Who decides on fresh state asks a dozen small ones, and the way there and back takes longer than most answers. So what
asks is written as a generator: it yields the queries that it has by now and gets their rows. Called as any function it
asks alone; `together` runs several, and sends what all of them have to ask in one pipeline, round by round.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from django.db import connection, models

from foundation.arrays import array_text
from foundation.loading import carried_out, foreign_key, rows_of, where

Query = tuple[str, Sequence[Any] | Mapping[str, Any]]
Rows = list[tuple[Any, ...]]
Answer = TypeVar("Answer")
Steps = Generator[list[Query], list[Rows], Answer]
P = ParamSpec("P")


class asking(Generic[P, Answer]):
    """A function that asks: `found(…)` is its answer, `found.steps(…)` is for `together` and `yield from`."""

    def __init__(self, steps: Callable[P, Steps[Answer]]) -> None:
        self.steps = steps
        update_wrapper(self, steps)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Answer:
        (answer,) = together(self.steps(*args, **kwargs))
        found: Answer = answer
        return found


def together(*asked: Steps[Any]) -> list[Any]:
    """The answers, in their order. They are read in one transaction, but not all at one moment."""
    answers: dict[int, Any] = {}
    waiting: dict[int, list[Query]] = {}
    told: dict[int, list[Rows] | None] = dict.fromkeys(range(len(asked)))
    while told:
        for place, rows in told.items():
            try:
                waiting[place] = asked[place].send(rows)  # type: ignore[arg-type]
            except StopIteration as end:
                waiting.pop(place, None)
                answers[place] = end.value
        found = iter(carried_out([query for mine in waiting.values() for query in mine]))
        told = {place: [next(found) for _ in mine] for place, mine in waiting.items()}
    return [answers[place] for place in range(len(asked))]


@asking
def attach(rows: Sequence[models.Model], *names: str) -> Steps[None]:
    """Give rows of one model what these foreign keys of theirs point at: a query for each key, and one instance for
    all rows that share it, where `select_related` makes one for each of them."""
    keys = [foreign_key(type(rows[0]), name) for name in names] if rows else []
    found = yield [_pointed_at(key, rows) for key in keys]
    for key, values in zip(keys, found, strict=True):
        attname = key.related_model._meta.pk.attname
        by_id = {row.__dict__[attname]: row for row in rows_of(key.related_model, values)}
        for row in rows:
            row._state.fields_cache[key.name] = by_id.get(row.__dict__[key.attname])


def _pointed_at(key: "models.ForeignKey[Any, Any]", rows: Sequence[models.Model]) -> Query:
    target = key.related_model._meta.pk
    kind = str(target.db_type(connection))
    assert kind in ("uuid", "bigint"), kind
    ids = {row.__dict__[key.attname] for row in rows} - {None}
    return where(key.related_model, f't."{target.column}" = ANY(%s::{kind}[])', [array_text(ids)])
