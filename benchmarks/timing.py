"""How a benchmark takes its time: medians, on other inputs in every run."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Input = TypeVar("Input")


def seconds_of_each(
    timed: Callable[[Input], Any], inputs: Iterable[Input], *, look: Callable[[Any], object] = bool
) -> list[float]:
    """Seconds of one call for each input. Making the inputs and looking at the answers is not timed."""
    seconds = []
    for given in inputs:
        begin = time.perf_counter()
        answer = timed(given)
        seconds.append(time.perf_counter() - begin)
        look(answer)
        del answer
    return seconds


def median_seconds(timed: Callable[[Input], Any], inputs: Iterable[Input]) -> float:
    """The median of `seconds_of_each`."""
    return statistics.median(seconds_of_each(timed, inputs))
