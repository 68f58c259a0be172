"""python -m tests.simulator --port N --log FILE [--seed N] [--text]"""

import argparse
import asyncio
from pathlib import Path

from tests.simulator.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.simulator", description="A broker that can misbehave.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="the log; it is appended to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text", action="store_true", help="text frames on the stream, as the live API")
    given = parser.parse_args()
    asyncio.run(Server(port=given.port, log=given.log, seed=given.seed, binary=not given.text).run())


if __name__ == "__main__":
    main()
