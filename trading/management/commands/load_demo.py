"""The demonstration: a portfolio, its people, the specification's two rules, and a session that trades them."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from knox.models import get_token_model
from knox.settings import CONSTANTS

from foundation.api.parsers import parse_strict
from market.models import Instrument, RecommendationSource
from market.services.load import load_sample_market
from portfolios.models import Portfolio
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.examples import EXAMPLES
from rules.services.rules import create_rule
from sessions.models import TradingSession
from sessions.services.sessions import start_trading_session
from trading.services.demo import DEMO_LIMITS, DEMO_PORTFOLIO, DEPOSIT, PEOPLE, Person

TokenModel = get_token_model()


class Command(BaseCommand):
    help = "Load the demonstration and write DATA_DIR/demo.json. What exists is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", default="http://127.0.0.1:8000")

    def handle(self, *args: Any, **options: Any) -> None:
        file = Path(settings.DATA_DIR) / "demo.json"
        load_sample_market()
        with transaction.atomic():
            known = _read(file)
            logins = {person.name: _login(person, known.get(person.name, {})) for person in PEOPLE}
            portfolio = _portfolio()
            session = TradingSession.objects.filter(portfolio=portfolio).order_by("-created_at").first()
            assert session is not None
        content = {
            "base_url": options["base_url"],
            "portfolio_id": str(portfolio.id),
            "session_id": str(session.id),
            "users": logins,
        }
        _write(file, content)
        self.stdout.write(f"Demo portfolio {portfolio.id}, session {session.id} ({session.status}).")


def _read(file: Path) -> dict[str, Any]:
    """The logins of the last run; nothing when there are none or they cannot be read."""
    try:
        users = json.loads(file.read_text())["users"]
    except (OSError, ValueError, KeyError):
        return {}
    return users if isinstance(users, dict) else {}


def _write(file: Path, content: dict[str, Any]) -> None:
    """At once or not at all, and readable for its owner only: it holds passwords."""
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(file)


def _login(person: Person, known: dict[str, Any]) -> dict[str, str]:
    """The user with a password and a token that work; known ones are kept if they still do."""
    user, _ = get_user_model().objects.get_or_create(
        username=person.name, defaults={"is_staff": person.is_staff, "is_superuser": person.is_superuser}
    )
    password = known.get("password")
    if not isinstance(password, str) or not user.check_password(password):
        password = secrets.token_urlsafe(9)
        user.set_password(password)
        user.save()
    token = known.get("token")
    if (
        not isinstance(token, str)
        or not TokenModel.objects.filter(user=user, token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH]).exists()
    ):
        _, token = TokenModel.objects.create(user=user)
    return {"password": password, "token": token, "role": person.role}


def _portfolio() -> Portfolio:
    """The demo portfolio with money, people, limits, rules and a session, made once."""
    portfolio = Portfolio.objects.filter(name=DEMO_PORTFOLIO).first()
    if portfolio is not None:
        return portfolio
    users = {
        user.get_username(): user
        for user in get_user_model().objects.filter(username__in=[p.name for p in PEOPLE])
    }
    owner = next(users[person.name] for person in PEOPLE if person.role == "owner")
    portfolio = create_portfolio(name=DEMO_PORTFOLIO, owner=owner)
    for person in PEOPLE:
        if person.is_member and person.role != "owner":
            set_member(portfolio=portfolio, user=users[person.name], role=person.role, actor=owner)
        if person.role == "service":
            RecommendationSource.objects.update_or_create(
                name="demo",
                defaults={
                    "description": "Invented advice for the demonstration",
                    "pusher": users[person.name],
                },
            )
    deposit(portfolio_id=portfolio.id, amount=DEPOSIT, actor=owner, memo="demo money")
    set_limits(scope="portfolio", scope_id=portfolio.id, values=DEMO_LIMITS, actor=owner)
    for example in EXAMPLES:
        create_rule(portfolio_id=portfolio.id, rule=parse_strict(example), actor=owner)
    symbols = sorted(Instrument.objects.filter(is_active=True).values_list("symbol", flat=True))
    start_trading_session(
        portfolio_id=portfolio.id, session_name="Demo session", actor=owner,
        config={"universe": {"symbols": symbols}, "recommendation_sources": ["demo", "baseline"]},
    )  # fmt: skip
    return portfolio
