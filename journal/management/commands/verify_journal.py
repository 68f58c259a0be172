"""`manage.py verify_journal`: does every chain still say what was written?"""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from journal.models import Stream
from journal.selectors import verify_stream


class Command(BaseCommand):
    help = "Verify every stream's hash chain. Names each break; exit code 1 if there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stream", type=UUID, help="verify this stream only")

    def handle(self, *args: Any, stream: UUID | None, **options: Any) -> None:
        streams = Stream.objects.order_by("pk")
        if stream is not None:
            streams = streams.filter(pk=stream)
            if not streams.exists():
                raise CommandError(f"there is no stream {stream}")
        entries = chains = breaks = 0
        for stream_id in streams.values_list("pk", flat=True).iterator(chunk_size=1000):
            length, broken = verify_stream(stream_id)
            chains, entries = chains + 1, entries + length
            if broken is not None:
                breaks += 1
                self.stderr.write(f"stream {stream_id}: {broken.reason}")
        if breaks:
            raise CommandError(f"{breaks} of {chains} streams are broken", returncode=1)
        self.stdout.write(f"{chains} streams, {entries} entries: every chain holds")
