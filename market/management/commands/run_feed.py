import argparse
import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from market.feed.runner import FeedRunner, StopFlag


class Command(BaseCommand):
    help = "Publish the market (settings.MARKET_FEED) until stopped. Of several, one publishes; others wait."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--ticks", type=int, default=None, help="end after so many published ticks")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopFlag()

        def request_stop(signum: int, frame: FrameType | None) -> None:
            stop.request()

        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, request_stop)
        FeedRunner(stop=stop, ticks_max=options["ticks"]).run()
