"""Loaded before any other plugin (`-p` in pyproject.toml): pytest-django reads the settings before conftest.py."""

from tests.harness.environment import own_servers, prepare_environment

prepare_environment()


def pytest_unconfigure() -> None:
    own_servers.close()
