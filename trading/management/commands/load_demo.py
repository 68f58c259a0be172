"""The demonstration: a portfolio, its people, the specification's two rules, and a session that trades them."""

import json
import secrets
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from knox.settings import CONSTANTS

from foundation.api.parsers import parse_strict
from foundation.tokens import issue_token, tokens_of
from market.models import Instrument, RecommendationSource
from market.services.load import load_sample_market
from portfolios.models import Portfolio, Role
from portfolios.services.limits import set_limits
from portfolios.services.paper_market import set_paper_market
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.examples import EXAMPLES
from rules.services.rules import create_rule
from sessions.models import TradingSession
from sessions.services.sessions import start_trading_session
from trading.services.demo import (
    DEMO_GROUP,
    DEMO_LIMITS,
    DEMO_PAPER_MARKET,
    DEMO_PORTFOLIO,
    DEMO_SOURCE,
    DEPOSIT,
    PEOPLE,
    Person,
)

DEMO_TOKEN = "demo"  # noqa: S105 - its name


class Command(BaseCommand):
    help = (
        "Load the demonstration and write its logins to DATA_DIR/demo.json. What exists is kept, and so is a "
        "password that somebody changed. Demo users whose login the file does not hold get a new password; "
        "a user of the same name whom this command did not make is never touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", default="http://127.0.0.1:8000")

    def handle(self, *args: Any, **options: Any) -> None:
        file = Path(settings.DATA_DIR) / "demo.json"
        _refuse_strangers()
        load_sample_market()
        with transaction.atomic():
            portfolio, known = _known(file)
            users = {person.name: _user(person) for person in PEOPLE}
            logins = {
                person.name: _login(person, *users[person.name], known.get(person.name)) for person in PEOPLE
            }
            portfolio = portfolio or _portfolio({name: user for name, (user, _) in users.items()})
            session = TradingSession.objects.filter(portfolio=portfolio).order_by("-created_at").first()
        content = {
            "base_url": options["base_url"],
            "portfolio_id": str(portfolio.id),
            "session_id": str(session.id) if session is not None else None,
            "users": logins,
        }
        _write(file, content)
        state = f"session {session.id} ({session.status})" if session is not None else "without a session"
        self.stdout.write(f"Demo portfolio {portfolio.id}, {state}.")


def _known(file: Path) -> tuple[Portfolio | None, dict[str, Any]]:
    """The portfolio and the logins of the last run; nothing when they cannot be read, or when the file tells of
    another database, where the same users have other passwords.
    """
    try:
        content = json.loads(file.read_text())
        portfolio = Portfolio.objects.filter(pk=uuid.UUID(content["portfolio_id"])).first()
        users = content["users"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}
    if portfolio is None or not isinstance(users, dict):
        return portfolio, {}
    return portfolio, users


def _write(file: Path, content: dict[str, Any]) -> None:
    """At once or not at all, and readable for its owner only: it holds passwords."""
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(file)


def _stranger(what: str) -> CommandError:
    return CommandError(
        f"There is a {what} that the demonstration did not make: nothing was changed. "
        "Start without the demonstration (DEMO=0), or give it another database."
    )


def _refuse_strangers() -> None:
    """Before anything is changed: raises CommandError if a name of the demonstration is somebody else's, or if
    the database is: it has portfolios, and the demonstration was never loaded into it.
    """
    names = [person.name for person in PEOPLE]
    if Portfolio.objects.exists() and not User.objects.filter(groups__name=DEMO_GROUP).exists():
        raise _stranger("portfolio")
    strangers = User.objects.filter(username__in=names).exclude(groups__name=DEMO_GROUP)
    for user in strangers.order_by("username"):
        raise _stranger(f"user {user.username!r}")
    sources = RecommendationSource.objects.filter(name=DEMO_SOURCE, pusher__isnull=False)
    for source in sources.exclude(pusher__groups__name=DEMO_GROUP):
        raise _stranger(f"recommendation source {source.name!r}")


def _user(person: Person) -> tuple[User, bool]:
    """The demo user, and whether he is new. Raises CommandError for a user from elsewhere."""
    user, is_new = User.objects.get_or_create(
        username=person.name, defaults={"is_staff": person.is_staff, "is_superuser": person.is_superuser}
    )
    if is_new:
        group, _ = Group.objects.get_or_create(name=DEMO_GROUP)
        user.groups.add(group)
    elif not user.groups.filter(name=DEMO_GROUP).exists():
        raise _stranger(f"user {user.username!r}")
    return user, is_new


def _login(person: Person, user: User, is_new: bool, known: Any) -> dict[str, str]:
    """His password (empty when he changed it) and a token that works; known ones are kept if they still do."""
    known = known if isinstance(known, dict) else {}
    password = known.get("password")
    if is_new or not isinstance(password, str):
        password = secrets.token_urlsafe(9)
        user.set_password(password)
        user.save(update_fields=["password"])
    elif not user.check_password(password):
        password = ""
    token = known.get("token")
    key = token[: CONSTANTS.TOKEN_KEY_LENGTH] if isinstance(token, str) else ""
    if not tokens_of(user).filter(token_key=key).exists():
        tokens_of(user).filter(label__name=DEMO_TOKEN).delete()
        token = issue_token(user=user, name=DEMO_TOKEN, days=settings.TOKEN_DAYS_MAX, actor=user).token
    return {"password": password, "token": token, "role": person.role}


def _portfolio(users: Mapping[str, User]) -> Portfolio:
    """The demo portfolio of the demo's owner; made, with people, money, limits, rules and a session, if need be."""
    owner = next(users[person.name] for person in PEOPLE if person.role == "owner")
    owned = Portfolio.objects.filter(
        name=DEMO_PORTFOLIO, memberships__user=owner, memberships__role=Role.OWNER
    )
    portfolio = owned.order_by("created_at").first()
    if portfolio is not None:
        return portfolio
    portfolio = create_portfolio(name=DEMO_PORTFOLIO, owner=owner)
    for person in PEOPLE:
        if person.is_member and person.role != "owner":
            set_member(portfolio=portfolio, user=users[person.name], role=person.role, actor=owner)
        if person.role == "service":
            RecommendationSource.objects.update_or_create(
                name=DEMO_SOURCE,
                defaults={
                    "description": "Invented advice for the demonstration",
                    "pusher": users[person.name],
                },
            )
    deposit(portfolio_id=portfolio.id, amount=DEPOSIT, actor=owner, memo="demo money")
    set_limits(scope="portfolio", scope_id=portfolio.id, values=DEMO_LIMITS, actor=owner)
    set_paper_market(portfolio_id=portfolio.id, values=DEMO_PAPER_MARKET, actor=owner)
    for example in EXAMPLES:
        create_rule(portfolio_id=portfolio.id, rule=parse_strict(example), actor=owner)
    symbols = sorted(Instrument.objects.filter(is_active=True).values_list("symbol", flat=True))
    start_trading_session(
        portfolio_id=portfolio.id, session_name="Demo session", actor=owner,
        config={"universe": {"symbols": symbols}, "recommendation_sources": [DEMO_SOURCE, "baseline"]},
    )  # fmt: skip
    return portfolio
