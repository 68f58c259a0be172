"""`python -m benchmarks [group,…]`: run all benchmarks, or those of the groups named; one JSON line a figure."""

import json
import sys
from collections.abc import Callable, Iterator

from benchmarks import api, feed, first_trade, halt, latency, orders, risk, rules, scale, sessions, stream
from benchmarks.figure import Figure

GROUPS: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": first_trade.measure,
    "rules": rules.measure,
    "risk": risk.measure,
    "halt": halt.measure,
    "orders": orders.measure,
    "latency": latency.measure,
    "api": api.measure,
    "feed": feed.measure,
    "sessions": sessions.measure,
    "scale": scale.measure,
    "stream": stream.measure,
}


def main(arguments: list[str]) -> int:
    wanted = [name for name in (arguments[0] if arguments else "").split(",") if name] or list(GROUPS)
    unknown = [name for name in wanted if name not in GROUPS]
    if unknown:
        print(f"unknown group {unknown[0]!r}; known are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    for name in wanted:
        for figure in GROUPS[name]():
            print(json.dumps(figure.as_dict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
