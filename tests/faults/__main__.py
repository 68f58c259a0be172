"""python -m autotrading_project.embedded exec --durable -- python -m tests.faults --kills 2000 --seed 7 [--fast]

The servers are the campaign's own from then on. Prints one JSON line; what happens meanwhile goes to stderr and into
the log directory.
"""

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

import django

from autotrading_project.embedded.network import free_port

# Times of the product for a campaign of minutes; without --fast they are what the product has.
FAST = {"BROKER_DEADLINE_SECONDS": "1.5", "BROKER_LEASE_SECONDS": "2", "BROKER_SETTLE_SECONDS": "5"}
# What another run may have set.
FOREIGN = (
    "PAUSE_POINT",
    "REDIS_PREFIX",
    "ALERT_WEBHOOK_URL",
    "ALLOW_LIVE_TRADING",
    "DATABASE_AS_OWNER",
    "PORT",
    "HOST",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests.faults", description="Kill everything while it trades, and count."
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--orders", type=int, default=0, help="go on until there are so many, too")
    parser.add_argument(
        "--each", type=int, default=0, help="and so many kills with a trade at each kill point"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="but end after so many, if not 0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fast", action="store_true", help=f"with {FAST}")
    parser.add_argument("--portfolios", type=int, default=40)
    parser.add_argument("--paper", type=int, default=4, help="portfolios on paper beside them")
    parser.add_argument("--per-second", type=float, default=1.0, help="kills")
    parser.add_argument("--phase-seconds", type=float, default=12.0, help="of each mixture of misbehaviour")
    parser.add_argument(
        "--logs", type=Path, default=None, help="directory for all logs; by default a new one"
    )
    given = parser.parse_args()
    if "DATABASE_OWNER_URL" not in os.environ or "DATA_DIR" not in os.environ:
        parser.error("run it by `make faults`: it needs servers that it may kill")
    log_dir = given.logs or Path(tempfile.mkdtemp(prefix="autotrading-faults-"))
    log_dir.mkdir(parents=True, exist_ok=True)
    print(f"logs: {log_dir}", file=sys.stderr)
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ |= {"ALPACA_PAPER_URL": f"http://127.0.0.1:{free_port()}"} | (FAST if given.fast else {})
    os.environ["JOURNAL_CHECK_PAYLOADS"] = "tests.harness.event_payloads.check"
    os.environ["DJANGO_SETTINGS_MODULE"] = "autotrading_project.settings"
    django.setup()
    campaign = importlib.import_module("tests.faults.campaign")  # its models need the settings
    wanted = campaign.Wanted(
        kills=given.kills, orders=given.orders, seed=given.seed, portfolios=given.portfolios, on_paper=given.paper,
        per_second=given.per_second, phase_seconds=given.phase_seconds, log_dir=log_dir, each=given.each,
        minutes=given.minutes,
    )  # fmt: skip
    return int(campaign.main(wanted))


if __name__ == "__main__":
    raise SystemExit(main())
