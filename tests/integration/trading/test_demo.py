"""The demonstration: loaded once, kept afterwards, with logins that work."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import Client
from django_celery_beat.models import PeriodicTask

from foundation.api.parsers import parse_strict
from rules.examples import EXAMPLES
from rules.models import TradingRule
from rules.services.rule_engine import validate_rule
from sessions.models import TradingSession
from trading.services.demo import invented_recommendations
from trading.services.schedule import SWEEPS, ensure_sweeps

pytestmark = pytest.mark.integration


def load(settings: Any, tmp_path: Path) -> dict[str, Any]:
    settings.DATA_DIR = tmp_path
    call_command("load_demo", base_url="http://127.0.0.1:1", verbosity=0)
    return json.loads((tmp_path / "demo.json").read_text())  # type: ignore[no-any-return]


def test_it_is_loaded_once_and_its_logins_work(committed_db: object, settings: Any, tmp_path: Path) -> None:
    first = load(settings, tmp_path)
    assert set(first) == {"base_url", "portfolio_id", "session_id", "users"}
    assert {user["role"] for user in first["users"].values()} >= {
        "owner",
        "risk_officer",
        "viewer",
        "superuser",
    }
    for name, login in first["users"].items():
        assert authenticate(username=name, password=login["password"]) is not None
        answer = Client().get("/api/me", headers={"authorization": f"Token {login['token']}"})
        assert answer.status_code == 200 and answer.json()["username"] == name
    assert load(settings, tmp_path) == first
    assert TradingSession.objects.count() == 1 and TradingRule.objects.count() == 2

    (tmp_path / "demo.json").unlink()  # the logins are forgotten: new ones, the portfolio stays
    again = load(settings, tmp_path)
    assert again["portfolio_id"] == first["portfolio_id"]
    assert again["users"]["alice"]["token"] != first["users"]["alice"]["token"]


def test_its_rules_are_the_specifications(committed_db: object, settings: Any, tmp_path: Path) -> None:
    load(settings, tmp_path)
    for text in EXAMPLES:
        wanted = validate_rule(parse_strict(text)).rule
        assert wanted is not None
        rule = TradingRule.objects.get(name=wanted["name"])
        assert rule.conditions == wanted["conditions"] and rule.actions == wanted["actions"]


def test_invented_advice_is_the_same_for_the_same_day_and_sometimes_sure() -> None:
    day = datetime(2004, 1, 2, 21, tzinfo=UTC)
    symbols = [f"S{number}" for number in range(2000)]
    items = invented_recommendations(symbols=symbols, as_of=day)
    assert items == invented_recommendations(symbols=symbols, as_of=day)
    counted = Counter(item["recommendation"] for item in items)
    assert 300 < counted["STRONG_BUY"] < 500
    assert all(item["confidence"] > 0.8 for item in items if item["recommendation"] == "STRONG_BUY")


@pytest.mark.django_db
def test_the_sweeps_are_upserted_and_an_operators_change_survives() -> None:
    ensure_sweeps()
    row = PeriodicTask.objects.get(name="sweep trading.tasks.execute_due")
    row.enabled = False
    row.save()
    ensure_sweeps()
    row.refresh_from_db()
    assert not row.enabled
    assert PeriodicTask.objects.filter(name__startswith="sweep ").count() == len(SWEEPS)
