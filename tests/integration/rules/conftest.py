"""Alice owns the portfolio, Charlie must see nothing; the specification's two rules as data."""

import json
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

import rules
from portfolios.services.portfolios import create_portfolio

EXAMPLES = Path(rules.__file__).parent / "examples"


@pytest.fixture
def alice(db):
    return get_user_model().objects.create_user("alice")


@pytest.fixture
def charlie(db):
    return get_user_model().objects.create_user("charlie")


@pytest.fixture
def portfolio(alice):
    return create_portfolio(name="Growth", owner=alice)


@pytest.fixture
def entry():
    return json.loads((EXAMPLES / "ai_strong_buy_entry.json").read_text())


@pytest.fixture
def stop_loss():
    return json.loads((EXAMPLES / "stop_loss_protection.json").read_text())
