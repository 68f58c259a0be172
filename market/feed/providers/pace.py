"""When the next tick is due, for providers that make their market themselves."""


class Pace:
    """Keeps the beat, but after a stall does not hurry through what was missed."""

    def __init__(self, seconds: float) -> None:
        assert seconds > 0
        self._seconds = seconds
        self._due_at: float | None = None

    def start(self) -> None:
        """The next tick is due at once."""
        self._due_at = None

    def is_due(self, monotonic_now: float) -> bool:
        return self._due_at is None or monotonic_now >= self._due_at

    def took(self, monotonic_now: float) -> None:
        """A tick was handed out."""
        due = monotonic_now if self._due_at is None else self._due_at
        self._due_at = max(due + self._seconds, monotonic_now)

    def left(self, monotonic_now: float) -> float:
        """Seconds until the next one is due."""
        return 0.0 if self._due_at is None else max(0.0, self._due_at - monotonic_now)
