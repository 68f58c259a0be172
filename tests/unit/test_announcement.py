"""`make run` announces its own web process, never a stranger on its port."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from autotrading_project.embedded.network import free_port
from autotrading_project.runner.announcement import Announcer
from autotrading_project.runner.configuration import Configuration, read_configuration
from autotrading_project.runner.errors import RunnerError


class Health(BaseHTTPRequestHandler):
    """/health of the run that the server's `run_id` names."""

    run_id = ""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.run_id:
            self.send_header("Autotrading-Run", self.run_id)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def configuration(tmp_path) -> Configuration:
    return read_configuration({"PORT": str(free_port()), "DATA_DIR": str(tmp_path), "DEMO": "0"})


@pytest.fixture
def handler(configuration) -> Iterator[type[Health]]:
    """What answers on the run's port."""
    handler = type("Handler", (Health,), {})
    with HTTPServer((configuration.host, configuration.port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture
def announcer(configuration, monkeypatch) -> Announcer:
    monkeypatch.setattr("autotrading_project.runner.announcement.HEALTH_PAUSE_SECONDS", 0)
    return Announcer(configuration, run_id="ours")


@pytest.mark.parametrize("run_id", ["", "another"])
def test_a_stranger_is_never_announced_but_mentioned_once(
    announcer, handler, run_id, configuration, capsys, monkeypatch
):
    handler.run_id = run_id
    announcer.each_turn()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("autotrading_project.runner.announcement.HEALTH_PATIENCE_SECONDS", -1)
    announcer.each_turn()
    announcer.each_turn()
    said = capsys.readouterr().out
    assert said.count("(status 200, not from our web process)") == 1
    assert "running at" not in said
    with pytest.raises(RunnerError, match=f"PORT={configuration.port} is in use on 127.0.0.1"):
        announcer.on_exit("web")


def test_our_own_is_announced_once_and_its_later_end_stops_nothing(announcer, handler, configuration, capsys):
    handler.run_id = "ours"
    announcer.each_turn()
    announcer.each_turn()
    assert capsys.readouterr().out.count(f"running at {configuration.base_url}") == 1
    announcer.on_exit("web")


def test_a_web_that_ends_with_its_port_free_is_just_started_again(announcer, capsys):
    announcer.on_exit("web")
    announcer.each_turn()
    assert capsys.readouterr().out == ""


def test_the_end_of_another_process_says_nothing_about_the_port(announcer, handler):
    announcer.on_exit("feed")
