"""What `make run` reads from the environment, and the sentences with which it refuses."""

import socket

import pytest

from autotrading_project.runner.__main__ import process_environment
from autotrading_project.runner.configuration import DEFAULT_PORT, read_configuration, run_environment
from autotrading_project.runner.errors import RunnerError


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        yield taken.getsockname()[1]


def test_port_of_the_environment_is_used_and_the_demo_is_on():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = read_configuration({"PORT": str(port)})
    assert (configuration.port, configuration.port_note, configuration.demo) == (port, "", True)
    assert configuration.base_url == f"http://127.0.0.1:{port}"
    assert configuration.data_dir.name == ".data"


def test_a_taken_port_that_was_asked_for_is_refused(taken_port):
    with pytest.raises(RunnerError, match=f"PORT={taken_port} is in use on 127.0.0.1"):
        read_configuration({"PORT": str(taken_port)})


def test_a_taken_default_port_gives_way_to_a_free_one(monkeypatch, taken_port):
    monkeypatch.setattr("autotrading_project.runner.configuration.DEFAULT_PORT", taken_port)
    configuration = read_configuration({})
    assert configuration.port not in {taken_port, DEFAULT_PORT}
    assert configuration.port_note.startswith(f"Port {taken_port} is in use: using {configuration.port}.")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "http"}, "PORT must be a number between 1 and 65535, got 'http'"),
        ({"PORT": "70000"}, "PORT must be a number between 1 and 65535, got '70000'"),
        ({"DEMO": "perhaps"}, "DEMO must be 1 or 0, got 'perhaps'"),
        ({"DATABASE_URL": "sqlite:///x"}, "DATABASE_URL must begin with postgres:// or postgresql://"),
        ({"REDIS_URL": "http://x"}, "REDIS_URL must begin with redis:// or rediss://"),
        ({"DATABASE_OWNER_URL": "postgres://o:p@h/n"}, "DATABASE_OWNER_URL is set without DATABASE_URL"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(environment, sentence):
    with pytest.raises(RunnerError, match=sentence):
        read_configuration(environment)


def test_all_interfaces_are_reached_over_loopback():
    assert read_configuration({"HOST": "0.0.0.0"}).base_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("environment", "base", "allowed", "is_noted"),
    [
        ({}, "http://127.0.0.1", "localhost,127.0.0.1,[::1]", False),
        ({"HOST": "192.168.1.5"}, "http://192.168.1.5", "localhost,127.0.0.1,[::1],192.168.1.5", False),
        ({"HOST": "fd00::5"}, "http://[fd00::5]", "localhost,127.0.0.1,[::1],[fd00::5]", False),
        ({"HOST": "0.0.0.0"}, "http://127.0.0.1", "localhost,127.0.0.1,[::1]", True),
        ({"HOST": "::"}, "http://[::1]", "localhost,127.0.0.1,[::1]", True),
        # the runner and the demo ask over loopback, whoever else may
        (
            {"HOST": "0.0.0.0", "ALLOWED_HOSTS": "a.com, b.com"},
            "http://127.0.0.1",
            "a.com,b.com,127.0.0.1",
            False,
        ),
        ({"ALLOWED_HOSTS": "*"}, "http://127.0.0.1", "*", False),
    ],
)
def test_the_processes_answer_to_the_host_that_is_announced(
    monkeypatch, environment, base, allowed, is_noted
):
    monkeypatch.setattr("autotrading_project.runner.configuration.is_free", lambda port, host: True)
    configuration = read_configuration(environment | {"PORT": "8123"})
    assert configuration.base_url == f"{base}:8123"
    assert process_environment(configuration)["ALLOWED_HOSTS"] == allowed
    assert ("set ALLOWED_HOSTS" in configuration.host_note) == is_noted


def test_the_processes_read_no_files_of_their_own():
    configuration = read_configuration({"DATA_DIR": "/somewhere"})
    values = process_environment(configuration)
    assert (values["READ_DOT_ENV"], values["DATA_DIR"]) == ("0", "/somewhere")


def test_run_env_has_one_line_for_each_value():
    assert run_environment({"A": "1", "B": "x=y"}).splitlines()[1:] == ["A=1", "B=x=y"]
