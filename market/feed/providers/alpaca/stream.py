"""The thread that keeps the socket of the market data: connect, log in, subscribe, listen; and again, when it breaks.

Keys are sent in one frame and are in no log, no text of an error and no repr. What the server says against us is told
by its code alone.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from foundation.core.decimal_json import parse
from foundation.sockets import Deadline
from foundation.websocket import LOST, PING_SECONDS, open_websocket

log = structlog.get_logger(__name__)

OPEN_SECONDS, END_SECONDS = 10.0, 2.0
RECV_SECONDS = 0.5
WAIT_FIRST, WAIT_MAX = 0.5, 30.0
SILENCE_SECONDS = 60.0
"""without a message while somebody trades, the connection is given up and made anew"""
CHANNELS = ("quotes", "trades", "dailyBars", "statuses")
REFUSALS = {
    400: "it does not understand a symbol among the active instruments: deactivate it (one that was added lately)",
    402: "the keys are refused: check ALPACA_DATA_KEY_ID and ALPACA_DATA_SECRET",
    405: "there are more active instruments than this subscription may have symbols: deactivate some, or get another",
    409: "this subscription does not have that feed: check ALPACA_DATA_FEED",
    410: "the feed does not have these channels: check ALPACA_DATA_FEED",
}
"""what waiting does not heal; the others (406 another connection, 407 too slow, 500, …) may pass"""


class StreamRefused(Exception):
    """The stream will not work with these settings; the message says which."""


class _Lost(Exception):
    """The connection is of no more use; the next one may be."""


@dataclass(frozen=True)
class DataKeys:
    key_id: str = field(repr=False)
    secret: str = field(repr=False)


class DataStream:
    """`take` gets lists of messages in the stream's thread; `expects` says whether somebody should be quoted now.

    `failure` is set when it has ended for good.
    """

    def __init__(
        self,
        *,
        url: str,
        keys: DataKeys,
        symbols: Sequence[str],
        take: Callable[[Sequence[Any]], None],
        expects: Callable[[], bool],
    ) -> None:
        self._url, self._keys, self._symbols = url, keys, list(symbols)
        self._take, self._expects = take, expects
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_listening = False
        self._says_garbage = False
        self.failure: StreamRefused | None = None

    @property
    def is_alive(self) -> bool:
        """Connected and subscribed, by the last that is known."""
        return self._is_listening

    def start(self) -> None:
        """It is started once; later calls change nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="market-data", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS)  # less than the feed's lease; it ends by itself

    def _run(self) -> None:
        wait = WAIT_FIRST
        while not self._closing.is_set():
            try:
                with open_websocket(
                    self._url, Deadline(OPEN_SECONDS), ping_seconds=PING_SECONDS
                ) as connection:
                    self._begin(connection)
                    log.info("market_data_connected", symbols=len(self._symbols))
                    wait = WAIT_FIRST
                    self._listen(connection)
            except StreamRefused as refusal:
                log.error("market_data_refused", reason=str(refusal))
                self.failure = refusal
                return
            except InvalidStatus as error:
                status = error.response.status_code
                log.warning("market_data_lost", reason=f"HTTP {status}", retry_seconds=wait)
            except _Lost as error:
                log.warning("market_data_lost", reason=str(error), retry_seconds=wait)
            except (*LOST, ValueError) as error:  # the kind alone: texts of errors may hold what was sent
                log.warning("market_data_lost", reason=type(error).__name__, retry_seconds=wait)
            finally:
                self._is_listening = False
            self._closing.wait(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, WAIT_MAX)

    def _begin(self, connection: ClientConnection) -> None:
        """Log in and subscribe, within one deadline. Raises StreamRefused, _Lost, what is in LOST."""
        deadline = Deadline(OPEN_SECONDS)
        self._says_garbage = False
        self._await(connection, deadline, "connected")
        connection.send(json.dumps({"action": "auth", "key": self._keys.key_id, "secret": self._keys.secret}))
        self._await(connection, deadline, "authenticated")
        connection.send(json.dumps({"action": "subscribe"} | dict.fromkeys(CHANNELS, self._symbols)))
        self._await(connection, deadline, "subscription")
        self._is_listening = True

    def _await(self, connection: ClientConnection, deadline: Deadline, wanted: str) -> None:
        while True:
            messages = self._read(connection.recv(timeout=deadline.left()))
            self._take(messages)  # quotes may come with the confirmation
            for message in messages:
                if isinstance(message, dict) and wanted in (message.get("msg"), message.get("T")):
                    return

    def _listen(self, connection: ClientConnection) -> None:
        heard_at = time.monotonic()
        while not self._closing.is_set():
            try:
                messages = self._read(connection.recv(timeout=RECV_SECONDS))
            except TimeoutError:
                if time.monotonic() - heard_at > SILENCE_SECONDS and self._expects():
                    raise _Lost(f"nothing was said for {SILENCE_SECONDS:g} s of trading") from None
                continue
            heard_at = time.monotonic()
            self._take(messages)

    def _read(self, raw: str | bytes) -> list[Any]:
        """The messages of a frame, none where it is no list of any. Raises StreamRefused, _Lost for errors."""
        try:
            messages = parse(raw)
        except (ValueError, RecursionError):
            messages = None
        if not isinstance(messages, list):
            if not self._says_garbage:
                self._says_garbage = True
                log.warning("market_data_garbage", size=len(raw))
            return []
        for message in messages:
            if isinstance(message, dict) and message.get("T") == "error":
                code = message.get("code")
                if code in REFUSALS:
                    raise StreamRefused(f"Alpaca's market data: {REFUSALS[int(code)]} (code {int(code)}).")
                raise _Lost(f"error {str(code)[:20]}")
        return messages
