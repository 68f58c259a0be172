"""The demonstration: loaded once, kept afterwards, with logins that work."""

import json
import uuid
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_celery_beat.models import PeriodicTask
from knox.models import get_token_model

from autotrading_project.embedded.network import free_port
from autotrading_project.runner.announcement import announcement
from autotrading_project.runner.configuration import read_configuration
from foundation.api.parsers import parse_strict
from journal.models import Entry
from market.models import Instrument, RecommendationSource
from portfolios.models import Portfolio
from portfolios.services.portfolios import create_portfolio
from rules.examples import EXAMPLES
from rules.models import TradingRule
from rules.services.rule_engine import validate_rule
from sessions.models import TradingSession
from tests.harness.trading import Market
from trading.management.commands.push_demo_recommendations import push_if_new_day
from trading.services.demo import DEMO_PORTFOLIO, invented_recommendations
from trading.services.schedule import SWEEPS, ensure_sweeps

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Nobody attacks these: the slow hash would only be waited for, some sixty times."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def opens(name: str, password: str) -> bool:
    return User.objects.get(username=name, is_active=True).check_password(password)


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
        assert opens(name, login["password"])
        answer = Client().get("/api/me", headers={"authorization": f"Token {login['token']}"})
        assert answer.status_code == 200 and answer.json()["username"] == name
    assert load(settings, tmp_path) == first
    assert TradingSession.objects.count() == 1 and TradingRule.objects.count() == 2


def test_forgotten_logins_are_made_anew_and_the_portfolio_stays(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    first = load(settings, tmp_path)
    file = tmp_path / "demo.json"
    content = json.loads(file.read_text())
    del content["users"]["bob"]
    file.write_text(json.dumps(content))
    second = load(settings, tmp_path)
    assert second["users"].keys() == first["users"].keys()
    assert second["users"]["alice"] == first["users"]["alice"]
    assert second["users"]["bob"]["password"] != first["users"]["bob"]["password"]
    file.unlink()
    third = load(settings, tmp_path)
    assert third["portfolio_id"] == first["portfolio_id"]
    for name, login in third["users"].items():
        assert login["token"] != second["users"][name]["token"]
        assert opens(name, login["password"])
        assert not opens(name, second["users"][name]["password"])
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_changed_password_is_kept_and_announced_as_changed(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    first = load(settings, tmp_path)
    alice = User.objects.get(username="alice")
    alice.set_password("a secret of hers")
    alice.save()
    token = load(settings, tmp_path)["users"]["alice"]["token"]
    assert token != first["users"]["alice"]["token"]  # that one ended with the old password
    for _ in range(2):
        again = load(settings, tmp_path)
        assert again["users"]["alice"] == first["users"]["alice"] | {"password": "", "token": token}
        assert again["users"]["bob"] == first["users"]["bob"]
        assert opens("alice", "a secret of hers")
    lines = announced(tmp_path)
    assert any(line.split() == ["alice", "(changed)", "owner"] for line in lines)
    assert any(line.split() == ["bob", first["users"]["bob"]["password"], "risk_officer"] for line in lines)


def test_the_logins_of_another_database_are_not_taken_for_changed_passwords(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    first = load(settings, tmp_path)
    foreign = first | {"portfolio_id": str(uuid.uuid4())}
    foreign["users"] = {name: login | {"password": "elsewhere"} for name, login in first["users"].items()}
    (tmp_path / "demo.json").write_text(json.dumps(foreign))
    again = load(settings, tmp_path)
    assert again["portfolio_id"] == first["portfolio_id"]
    for name, login in again["users"].items():
        assert opens(name, login["password"])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"portfolio_id": 1}', '{"portfolio_id": "x", "users": []}']
)
def test_an_unreadable_file_is_no_file(
    committed_db: object, settings: Any, tmp_path: Path, text: str
) -> None:
    (tmp_path / "demo.json").write_text(text)
    login = load(settings, tmp_path)["users"]["alice"]
    assert opens("alice", login["password"])


@pytest.mark.parametrize("loaded", [False, True])
def test_users_from_elsewhere_are_never_touched(
    committed_db: object, settings: Any, tmp_path: Path, loaded: bool
) -> None:
    if loaded:  # by whoever made the others; this one was put in his place
        load(settings, tmp_path)
        User.objects.get(username="bob").groups.clear()
        stranger = User.objects.get(username="bob")
    else:
        stranger = User.objects.create_user(username="bob", password="a secret of his")
    file = tmp_path / "demo.json"
    before = everything(), file.read_text() if file.exists() else None
    with pytest.raises(CommandError, match=r"user 'bob'.*DEMO=0"):
        load(settings, tmp_path)
    assert (everything(), file.read_text() if file.exists() else None) == before
    assert User.objects.get(username="bob").password == stranger.password


def everything() -> list[object]:
    """What the command could have changed."""
    return [
        *User.objects.order_by("pk").values("username", "password", "is_superuser", "groups"),
        *(model.objects.count() for model in (Portfolio, Instrument, TradingSession, TradingRule, Entry)),
        *RecommendationSource.objects.order_by("pk").values("name", "pusher"),
        *get_token_model().objects.order_by("pk").values_list("pk", flat=True),
    ]


def test_a_source_from_elsewhere_is_never_taken_over(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    pusher = User.objects.create_user(username="quant")
    RecommendationSource.objects.create(name="demo", pusher=pusher)
    before = everything()
    with pytest.raises(CommandError, match="source 'demo'"):
        load(settings, tmp_path)
    assert everything() == before


def test_a_database_that_is_in_use_is_refused(committed_db: object, settings: Any, tmp_path: Path) -> None:
    create_portfolio(name="Savings", owner=User.objects.create_user(username="eve"))
    before = everything()
    with pytest.raises(CommandError, match=r"a portfolio that the demonstration did not make.*DEMO=0"):
        load(settings, tmp_path)
    assert everything() == before
    assert not (tmp_path / "demo.json").exists()


def test_a_portfolio_of_the_same_name_from_elsewhere_is_not_the_demos(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    first = load(settings, tmp_path)
    eve = User.objects.create_user(username="eve")
    hers = create_portfolio(name=DEMO_PORTFOLIO, owner=eve)
    assert load(settings, tmp_path) == first
    assert [member.user for member in hers.memberships.all()] == [eve]
    renamed = Portfolio.objects.get(pk=first["portfolio_id"])
    renamed.name = "Renamed"
    renamed.save()
    assert load(settings, tmp_path) == first  # found by its id
    (tmp_path / "demo.json").unlink()
    assert load(settings, tmp_path)["portfolio_id"] not in {first["portfolio_id"], str(hers.id)}


def test_a_portfolio_without_a_session_is_told_without_one(
    committed_db: object, settings: Any, tmp_path: Path
) -> None:
    load(settings, tmp_path)
    bare = create_portfolio(name="Bare", owner=User.objects.get(username="alice"))
    file = tmp_path / "demo.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"portfolio_id": str(bare.id)}))
    again = load(settings, tmp_path)
    assert (again["portfolio_id"], again["session_id"]) == (str(bare.id), None)
    lines = announced(tmp_path)
    assert any(str(bare.id) in line for line in lines) and not any("session" in line for line in lines)


def announced(data_dir: Path) -> list[str]:
    return announcement(read_configuration({"DATA_DIR": str(data_dir), "PORT": str(free_port())}))


def test_its_rules_are_the_specifications(committed_db: object, settings: Any, tmp_path: Path) -> None:
    load(settings, tmp_path)
    for text in EXAMPLES:
        wanted = validate_rule(parse_strict(text)).rule
        assert wanted is not None
        rule = TradingRule.objects.get(name=wanted["name"])
        assert rule.conditions == wanted["conditions"] and rule.actions == wanted["actions"]


def test_invented_advice_is_the_same_for_the_same_day_and_sometimes_sure() -> None:
    day = date(2004, 1, 2)
    symbols = [f"S{number}" for number in range(2000)]
    items = invented_recommendations(symbols=symbols, day=day)
    assert items[1000:] == invented_recommendations(symbols=symbols[1000:], day=day)
    assert items != invented_recommendations(symbols=symbols, day=date(2004, 1, 3))
    counted = Counter(item["recommendation"] for item in items)
    assert 300 < counted["STRONG_BUY"] < 500
    assert all(item["confidence"] > 0.8 for item in items if item["recommendation"] == "STRONG_BUY")


def test_the_same_day_pushed_twice_is_stored_once_though_the_market_moved_on(market: Market) -> None:
    pusher = User.objects.create_superuser(username="pusher")
    client = Client()
    client.force_login(pusher)
    items = invented_recommendations(symbols=["AAA", "BBB"], day=market.as_of.date())
    counted = []
    for _ in range(2):
        market.tick()
        answer = client.post(
            "/api/recommendations", {"source": "test", "recommendations": items}, "application/json"
        )
        assert answer.status_code in (200, 201), answer.content
        counted.append([len(answer.json()[key]) for key in ("created", "existing")])
    assert counted == [[2, 0], [0, 2]]


class Api:
    """What the demo's process talks to: a market at `as_of`, and `status` for every push."""

    def __init__(self) -> None:
        self.as_of, self.status = "2004-01-02T21:00:00Z", 201
        self.pushed: list[list[dict[str, Any]]] = []
        self.client = httpx.Client(base_url="http://demo", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/market/snapshot":
            rows = [{"symbol": "AAA", "price": "1"}, {"symbol": "BBB", "price": None}]
            return httpx.Response(200, json={"as_of": self.as_of, "symbols": rows})
        assert request.url.path == "/api/recommendations"
        self.pushed.append(json.loads(request.content)["recommendations"])
        return httpx.Response(self.status, json={})


def test_every_day_is_pushed_once_and_without_a_time_of_its_own() -> None:
    api = Api()
    day = push_if_new_day(api.client, None)
    assert day == date(2004, 1, 2)
    assert push_if_new_day(api.client, day) == day
    assert [[item["external_id"] for item in items] for items in api.pushed] == [["AAA:2004-01-02"]]
    assert "as_of" not in api.pushed[0][0]
    api.as_of = "2004-01-05T21:00:00Z"
    assert push_if_new_day(api.client, day) == date(2004, 1, 5)
    assert len(api.pushed) == 2


def test_a_day_that_was_pushed_with_other_content_is_done() -> None:
    api = Api()
    api.status = 409
    assert push_if_new_day(api.client, None) == date(2004, 1, 2)


@pytest.mark.parametrize("status", [400, 503])
def test_any_other_refusal_is_tried_again(status: int) -> None:
    api = Api()
    api.status = status
    with pytest.raises(httpx.HTTPStatusError):
        push_if_new_day(api.client, None)


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
