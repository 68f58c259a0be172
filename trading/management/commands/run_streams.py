import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from market.feed.runner import StopFlag
from trading.services.streams import StreamsRunner


class Command(BaseCommand):
    help = "Follow the executions at brokers until stopped. Several processes share the accounts."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopFlag()

        def request_stop(signum: int, frame: FrameType | None) -> None:
            stop.request()

        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, request_stop)
        StreamsRunner(stop=stop).run()
