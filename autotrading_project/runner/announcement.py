"""What `make run` prints when everything answers: where to look and who may log in.

The port was free when the run began, and `web` listens on it only some seconds
later: what answers there may be somebody else's server.
"""

import http.client
import time
from urllib.parse import urlsplit

from autotrading_project.embedded.network import is_free
from autotrading_project.embedded.processes import read_json
from autotrading_project.runner.configuration import Configuration, port_is_taken
from autotrading_project.runner.console import say, write
from autotrading_project.runner.errors import RunnerError

HEALTH_PAUSE_SECONDS = 0.3
HEALTH_PATIENCE_SECONDS = 60.0
RUN_HEADER = "Autotrading-Run"


class Announcer:
    """Asks /health until our own web process answers, then prints where everything is, once."""

    def __init__(self, configuration: Configuration, *, run_id: str) -> None:
        self._configuration = configuration
        self._run_id = run_id
        self._begun = self._next = time.monotonic()
        self._complained = False
        self.done = False

    def each_turn(self) -> None:
        """Ask, if it is time to. A sick web process is announced, too, after a minute; a strange one never."""
        now = time.monotonic()
        if self.done or now < self._next:
            return
        self._next = now + HEALTH_PAUSE_SECONDS
        status, run_id, body = _health(self._configuration)
        is_ours = run_id == self._run_id
        is_late = now - self._begun > HEALTH_PATIENCE_SECONDS
        if is_late and not self._complained and not (is_ours and status == 200):
            self._complained = True
            whose = "" if is_ours or not status else ", not from our web process"
            say(f"/health does not say that all is well (status {status or 'none'}{whose}): {body[:500]}")
        if is_ours and (status == 200 or is_late):
            self.done = True
            for line in announcement(self._configuration):
                write(line)

    def on_exit(self, name: str) -> None:
        """Raises RunnerError when `web` could not listen on its port because somebody else does.

        Only until it has answered once: later the rest goes on trading, and web tries again.
        """
        host, port = self._configuration.host, self._configuration.port
        if name == "web" and not self.done and not is_free(port, host):
            raise RunnerError(port_is_taken(port, host))


def _health(configuration: Configuration) -> tuple[int, str, str]:
    """Status, run and body of /health; 0 if nobody answers."""
    connection = http.client.HTTPConnection(
        urlsplit(configuration.base_url).hostname or "", configuration.port, timeout=2
    )
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, answer.getheader(RUN_HEADER, ""), answer.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, "", ""
    finally:
        connection.close()


def announcement(configuration: Configuration) -> list[str]:
    """The lines; the demo's logins come from DATA_DIR/demo.json."""
    base = configuration.base_url
    lines = [
        "",
        f"  autotrading is running at {base}",
        "",
        f"  Console     {base}/",
        f"  Admin       {base}/admin/",
        f"  API docs    {base}/api/docs",
        f"  WebSocket   {base.replace('http', 'ws', 1)}/ws/events",
    ]
    demo = read_json(configuration.data_dir / "demo.json") if configuration.demo else {}
    if demo.get("portfolio_id"):
        lines += ["", f"  Demo        portfolio {demo['portfolio_id']}"]
        if demo.get("session_id"):
            lines.append(f"              session   {demo['session_id']}")
        lines += ["", "  Logins      name, password, role"]
        users = sorted(demo.get("users", {}).items())
        width = max((len(name) for name, _ in users), default=0)
        for name, user in users:
            password = user.get("password") or "(changed)"  # then only its owner knows it
            lines.append(f"              {name:<{width}}  {password:<16}  {user.get('role', '')}")
        lines.append(f"  Tokens and ids are in {configuration.data_dir / 'demo.json'}")
    lines += ["", "  Ctrl-C stops everything; the data is kept.", ""]
    return lines
