"""Connecting an account: keys are tried first, both sides are empty, and the keys are nowhere but sealed."""

import contextlib
import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from knox.models import get_token_model
from rest_framework.test import APIClient

from foundation.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unavailable,
    Unprocessable,
)
from journal.models import Alert, Entry
from portfolios.models import BrokerAccount, BrokerCredential, LedgerTransfer, Portfolio, Position
from portfolios.services.credentials import open_credentials
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from sessions.models import TradingSession
from tests.harness.alpaca_wire import (
    AlpacaWire,
    account_document,
    alpaca_wire,
    hang_up,
    order_document,
    reply,
)
from tests.harness.databases import CommittedDatabase
from tests.harness.racing import Waiting
from tests.harness.trading import Desk, Market
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.connections import broker_of, capabilities_of
from trading.brokers.protocol import BrokerOrder, CancelRequested, NotConnected, OrderTicket
from trading.core.order_states import OrderState
from trading.core.orders import MARKET_DAY
from trading.models import Halt, ReconciliationBreak
from trading.services.breaks import record_break
from trading.services.connecting import connect_account, disconnect_account
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
KEY_ID, SECRET = "PKCONNECTING0000001", "n0where/but+sealed-0000000000000000000001"
HELD = [{"symbol": "AAA", "qty": "1", "side": "long"}]


@pytest.fixture
def wire(settings: Any) -> Iterator[AlpacaWire]:
    """Alpaca with an empty account of 100,000.25."""
    with alpaca_wire() as server:
        server.routes |= {
            "/v2/account": (200, account_document()), "/v2/positions": (200, []), "/v2/orders": (200, []),
        }  # fmt: skip
        settings.ALPACA_PAPER_URL = server.url
        settings.ALPACA_LIVE_URL = "http://127.0.0.1:1"
        settings.CREDENTIAL_KEYS = {"test": b"k" * 32}
        settings.ALLOW_LIVE_TRADING = False
        yield server


@pytest.fixture
def users(db: None) -> dict[str, Any]:
    made = {
        name: get_user_model().objects.create_user(name) for name in ("alice", "bob", "victor", "charlie")
    }
    made["steffi"] = get_user_model().objects.create_superuser("steffi", password="for the admin's page")
    return made


@pytest.fixture
def portfolio(users: dict[str, Any]) -> Portfolio:
    """Alice's, with 250 of play money."""
    made = create_portfolio(name="Alice's", owner=users["alice"])
    set_member(portfolio=made, user=users["bob"], role="risk_officer", actor=users["alice"])
    set_member(portfolio=made, user=users["victor"], role="viewer", actor=users["alice"])
    deposit(portfolio_id=made.id, amount=D(250), actor=users["alice"])
    return made


def connect(portfolio: Portfolio, actor: Any, **changes: Any) -> BrokerAccount:
    values = {"broker": "alpaca", "is_live": False, "key_id": KEY_ID, "secret": SECRET, **changes}
    return connect_account(portfolio_id=portfolio.id, actor=actor, **values)


def account_of(portfolio: Portfolio) -> BrokerAccount:
    return BrokerAccount.objects.get(portfolio=portfolio)


def assert_on_paper(portfolio: Portfolio, cash: int = 250) -> None:
    account = account_of(portfolio)
    assert (account.broker, account.is_live, account.account_number) == ("paper", False, "")
    assert not BrokerCredential.objects.filter(account=account).exists()
    assert Portfolio.objects.get(pk=portfolio.pk).cash == cash


# --- what it does -----------------------------------------------------------------------------


def test_the_owner_connects_a_paper_account(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    account = connect(portfolio, users["alice"])
    assert (account.broker, account.is_live, account.account_number) == ("alpaca", False, "PA3WIRE00001")
    assert Portfolio.objects.get(pk=portfolio.pk).cash == D("100000.25")
    row = LedgerTransfer.objects.filter(portfolio=portfolio).latest("id")
    assert (row.kind, row.amount) == ("deposit", D("99750.25")) and "connected" in row.memo
    payload = json.loads(Entry.objects.get(kind="account.connected").payload)
    assert (payload["account_number"], payload["key"]) == ("PA3WIRE00001", "…0001")
    assert Alert.objects.get(kind="account.connected").severity == "warning"
    keys = open_credentials(account=account_of(portfolio))
    assert (keys.key_id, keys.secret) == (KEY_ID, SECRET)
    assert {request.path for request in wire.requests} == {"/v2/account", "/v2/positions", "/v2/orders"}
    assert book_differences() == []


def test_less_cash_at_the_broker_is_a_withdrawal(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    wire.routes["/v2/account"] = (200, account_document(cash="0.12345678"))
    connect(portfolio, users["alice"])
    assert Portfolio.objects.get(pk=portfolio.pk).cash == D("0.12345678")
    assert Entry.objects.filter(kind="cash.withdrawn").count() == 1


def test_the_same_cash_needs_no_entry(wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]) -> None:
    wire.routes["/v2/account"] = (200, account_document(cash="250"))
    connect(portfolio, users["alice"])
    assert LedgerTransfer.objects.filter(portfolio=portfolio).count() == 1


def test_the_connected_account_has_its_broker(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    assert not capabilities_of(account_of(portfolio)).has_network
    with pytest.raises(NotConnected, match="paper market"):
        broker_of(account_of(portfolio))
    connect(portfolio, users["alice"])
    assert capabilities_of(account_of(portfolio)).streams
    broker = broker_of(account_of(portfolio))
    assert isinstance(broker, AlpacaBroker) and broker.account().account_number == "PA3WIRE00001"
    broker.close()


def test_connecting_the_same_account_again_replaces_its_keys_at_any_time(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    connect(portfolio, users["alice"])
    wire.routes["/v2/positions"] = (200, HELD)
    wire.routes["/v2/account"] = (200, account_document(cash="7"))
    connect(portfolio, users["alice"], secret="another-secret-of-the-account")
    assert open_credentials(account=account_of(portfolio)).secret == "another-secret-of-the-account"
    assert Portfolio.objects.get(pk=portfolio.pk).cash == D("100000.25")
    assert Entry.objects.filter(kind="account.keys_replaced").count() == 1


def test_disconnecting_goes_back_to_paper_and_forgets_the_keys(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    connect(portfolio, users["alice"])
    asked = len(wire.requests)
    disconnect_account(portfolio_id=portfolio.id, actor=users["alice"])
    assert_on_paper(portfolio, cash=D("100000.25"))  # type: ignore[arg-type]
    assert len(wire.requests) == asked  # it works with keys that are refused, too
    assert Alert.objects.filter(kind="account.disconnected").count() == 1
    disconnect_account(portfolio_id=portfolio.id, actor=users["alice"])
    assert Entry.objects.filter(kind="account.disconnected").count() == 1


# --- who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "error"), [("bob", Forbidden), ("victor", Forbidden), ("charlie", NotFound)])
def test_others_may_not(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], who: str, error: type[DomainError]
) -> None:
    for call in (
        connect,
        lambda portfolio, actor: disconnect_account(portfolio_id=portfolio.id, actor=actor),
    ):
        with pytest.raises(error):
            call(portfolio, users[who])
    assert not wire.requests


def test_staff_may(wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]) -> None:
    assert connect(portfolio, users["steffi"]).broker == "alpaca"


def test_real_money_is_for_staff(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], settings: Any
) -> None:
    settings.ALLOW_LIVE_TRADING, settings.ALPACA_LIVE_URL = True, wire.url
    with pytest.raises(Forbidden):
        connect(portfolio, users["alice"], is_live=True)
    assert not wire.requests
    assert connect(portfolio, users["steffi"], is_live=True).is_live
    assert Alert.objects.get(kind="account.connected").severity == "critical"
    with pytest.raises(Forbidden):
        disconnect_account(portfolio_id=portfolio.id, actor=users["alice"])
    with pytest.raises(Forbidden):  # nor may she turn it into play money
        connect(portfolio, users["alice"])


def test_real_money_needs_the_setting(wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="ALLOW_LIVE_TRADING"):
        connect(portfolio, users["steffi"], is_live=True)
    assert not wire.requests


def test_once_the_setting_is_gone_a_live_account_is_sent_nothing_and_still_asked_and_cancelled(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], settings: Any
) -> None:
    settings.ALLOW_LIVE_TRADING, settings.ALPACA_LIVE_URL = True, wire.url
    connect(portfolio, users["steffi"], is_live=True)
    settings.ALLOW_LIVE_TRADING = False
    place = str(uuid.UUID(int=7))
    wire.routes[f"/v2/orders/{place}"] = (200, {})
    ticket = OrderTicket("at-1", "AAA", "buy", D(1), MARKET_DAY)
    works = BrokerOrder("at-1", place, "AAA", "buy", D(1), D(0), OrderState.ACCEPTED)
    with contextlib.closing(broker_of(account_of(portfolio))) as broker:
        asked = len(wire.requests)
        with pytest.raises(NotConnected, match="ALLOW_LIVE_TRADING"):
            broker.submit(ticket, gate=lambda: None)
        with pytest.raises(NotConnected, match="ALLOW_LIVE_TRADING"):
            broker.replace(works, quantity=D(2), terms=MARKET_DAY)
        assert len(wire.requests) == asked
        assert broker.account().account_number == account_of(portfolio).account_number
        assert broker.cancel(works) == CancelRequested()


def test_paper_keys_never_reach_the_live_address_nor_the_other_way_round(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], settings: Any
) -> None:
    with alpaca_wire() as live:
        settings.ALLOW_LIVE_TRADING, settings.ALPACA_LIVE_URL = True, live.url
        connect(portfolio, users["steffi"])
        assert wire.requests and not live.requests
        asked = len(wire.requests)
        with pytest.raises(Unavailable):
            connect(portfolio, users["steffi"], is_live=True)
        assert live.requests and len(wire.requests) == asked


# --- what must hold ---------------------------------------------------------------------------

REFUSED: list[tuple[str, str, Any, str]] = [
    ("keys refused", "/v2/account", (403, {"message": "forbidden."}), "keys_refused"),
    ("blocked", "/v2/account", (200, account_document(trading_blocked=True)), "trading_blocked"),
    ("not active", "/v2/account", (200, account_document(status="SUBMITTED")), "trading_blocked"),
    ("another currency", "/v2/account", (200, account_document(currency="EUR")), "other_currency"),
    ("owes", "/v2/account", (200, account_document(cash="-0.01")), "broker_cash"),
    ("holds", "/v2/positions", (200, HELD), "broker_holds"),
    ("has orders", "/v2/orders", (200, [order_document()]), "broker_orders"),
]


@pytest.mark.parametrize(
    ("path", "answer", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_account_that_does_not_fit_is_refused(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], path: str, answer: Any, code: str
) -> None:
    wire.routes[path] = answer
    with pytest.raises(Unprocessable) as refusal:
        connect(portfolio, users["alice"])
    assert refusal.value.code == code
    assert_on_paper(portfolio)


@pytest.mark.parametrize(
    "answer",
    [hang_up, reply(500), reply(200, account_document(cash="NaN")), reply(200, body=b"<html>")],
)
def test_a_broker_that_does_not_answer_changes_nothing(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], answer: Any
) -> None:
    wire.answers.append(answer)
    with pytest.raises(Unavailable):
        connect(portfolio, users["alice"])
    assert_on_paper(portfolio)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"key_id": "short"}, "key_id"),
        ({"key_id": "PK 000000000000"}, "key_id"),
        ({"secret": "line\r\nHost: elsewhere"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"broker": "paper"}, "broker"),
        ({"broker": "acme"}, "broker"),
    ],
)
def test_bad_input_is_named_and_not_repeated(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], changes: dict[str, str], path: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        connect(portfolio, users["alice"], **changes)
    errors = refusal.value.errors
    assert errors is not None and [error["path"] for error in errors] == [path]
    if path != "broker" and changes[path]:
        assert changes[path] not in f"{refusal.value.detail}{errors}"
    assert not wire.requests


def test_without_a_sealing_key_nothing_is_asked(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], settings: Any
) -> None:
    settings.CREDENTIAL_KEYS = {}
    with pytest.raises(Conflict, match="CREDENTIAL_KEYS"):
        connect(portfolio, users["alice"])
    assert not wire.requests


def _hold(portfolio: Portfolio) -> None:
    market = Market()
    market.tick()
    Position.objects.create(portfolio=portfolio, instrument=market.instruments[0], quantity=1, cost=1)


def _let_a_session_run(portfolio: Portfolio) -> None:
    market = Market()
    market.tick()
    desk = Desk.open(market, owner="another")
    TradingSession.objects.filter(pk=desk.session.pk).update(portfolio=portfolio)


def _let_a_trade_wait(portfolio: Portfolio) -> None:
    market = Market()
    market.tick()
    desk = Desk.open(market, owner="another")
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    type(trade).objects.filter(pk=trade.pk).update(portfolio=portfolio)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(_hold, "position_open"), (_let_a_session_run, "session_running"), (_let_a_trade_wait, "trade_open")],
)
def test_a_portfolio_that_is_at_work_is_not_moved(
    wire: AlpacaWire,
    portfolio: Portfolio,
    users: dict[str, Any],
    spoil: Callable[[Portfolio], None],
    code: str,
) -> None:
    connect(portfolio, users["alice"])
    spoil(portfolio)
    with pytest.raises(Conflict) as refusal:
        disconnect_account(portfolio_id=portfolio.id, actor=users["alice"])
    assert refusal.value.code == code
    wire.routes["/v2/account"] = (200, account_document(account_number="PA3OTHER0001"))
    with pytest.raises(Conflict) as refusal:
        connect(portfolio, users["alice"])
    assert refusal.value.code == code
    assert account_of(portfolio).account_number == "PA3WIRE00001"


def test_what_begins_while_the_broker_is_asked_is_seen_under_the_lock(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look saw nothing; the position was opened while the broker answered."""
    real = AlpacaBroker.open_orders

    def meanwhile(broker: AlpacaBroker) -> Any:
        _hold(portfolio)
        return real(broker)

    monkeypatch.setattr(AlpacaBroker, "open_orders", meanwhile)
    with pytest.raises(Conflict) as refusal:
        connect(portfolio, users["alice"])
    assert refusal.value.code == "position_open"
    assert_on_paper(portfolio)


def test_a_new_connection_inherits_nothing_of_the_one_before(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    """What was open with the first account is past, and what happens from now on is ours to judge."""
    account = connect(portfolio, users["alice"])
    first = account.connected_at
    connect(portfolio, users["alice"])  # the keys alone
    assert account_of(portfolio).connected_at == first is not None
    record_break(account_id=account.pk, kind="execution", key="old", ours={}, theirs={}, detail="not booked")
    disconnect_account(portfolio_id=portfolio.id, actor=users["alice"])
    assert account_of(portfolio).connected_at is None
    assert ReconciliationBreak.objects.filter(ended_at=None).count() == 1
    wire.routes["/v2/account"] = (200, account_document(account_number="PA3OTHER0001"))
    second = connect(portfolio, users["alice"]).connected_at
    assert first < second
    assert not ReconciliationBreak.objects.filter(ended_at=None).exists()
    assert Entry.objects.filter(kind="reconciliation.break_ended").count() == 1
    assert Halt.objects.filter(scope="account", released_at=None).count() == 1, "a person releases it"


def test_one_account_serves_one_portfolio(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    connect(portfolio, users["alice"])
    other = create_portfolio(name="Charlie's", owner=users["charlie"])
    with pytest.raises(Conflict) as refusal:
        connect(other, users["charlie"])
    assert refusal.value.code == "account_taken"
    assert_on_paper(other, cash=0)
    assert not Entry.objects.filter(kind="cash.deposited", stream_id=other.id).exists()


def test_of_two_who_connect_one_account_at_once_one_is_refused(
    committed_db: CommittedDatabase, wire: AlpacaWire
) -> None:
    """The second waits for the first one's row, and the database keeps them apart."""
    alice, charlie = (get_user_model().objects.create_user(name) for name in ("alice", "charlie"))
    first, second = (create_portfolio(name=f"{user}'s", owner=user) for user in (alice, charlie))
    refusals: list[str] = []

    def connect_second() -> None:
        with pytest.raises(Conflict) as refusal:
            connect(second, charlie)
        refusals.append(refusal.value.code)

    other = Waiting(committed_db, connect_second)
    with transaction.atomic():
        connect(first, alice)
        other.start_and_block()
    other.join()
    assert refusals == ["account_taken"]
    assert account_of(first).account_number == account_document()["account_number"]
    assert_on_paper(second, cash=0)


# --- nothing is locked, nothing leaks ----------------------------------------------------------


def test_no_transaction_is_open_while_the_broker_is_asked(
    committed_db: object, wire: AlpacaWire, settings: Any
) -> None:
    alice = get_user_model().objects.create_user("alice")
    portfolio = create_portfolio(name="Alice's", owner=alice)
    database = connection.get_connection_params()
    url = {
        name: database[name] for name in ("host", "port", "user", "password", "dbname") if name in database
    }
    open_ones: list[int] = []

    def look(request: Any) -> None:
        with psycopg.connect(**url) as other:
            row = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%'"
            ).fetchone()
            assert row is not None
            open_ones.append(row[0])

    wire.on_request = look
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {get_token_model().objects.create(user=alice)[1]}")
    answer = client.post(
        f"/api/portfolios/{portfolio.id}/broker/connect",
        {"broker": "alpaca", "key_id": KEY_ID, "secret": SECRET},
        format="json",
        headers={"Idempotency-Key": "one"},  # which would open one
    )
    assert answer.status_code == 200, answer.content
    assert open_ones == [0, 0, 0]


def where_it_stands(needle: str) -> list[str]:
    """Every table that holds the text, as text or as bytes."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS t WHERE strpos(t::text, %s) > 0 OR strpos(t::text, %s) > 0',
                [needle, needle.encode().hex()],
            )
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def test_the_keys_stand_nowhere_in_the_database_nor_in_the_log(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "httpx", "httpcore", "websockets", "django.db.backends"):
        caplog.set_level(logging.DEBUG, logger=name)
    client = APIClient()
    token = get_token_model().objects.create(user=users["alice"])[1]
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    path = f"/api/portfolios/{portfolio.id}/broker"
    body = {"broker": "alpaca", "key_id": KEY_ID, "secret": SECRET}
    key = {"Idempotency-Key": "one"}
    wire.answers.append(reply(403, {"message": f"{KEY_ID} and {SECRET} do not fit"}))
    wire.answers.append(reply(200, account_document(status=f"{KEY_ID} {SECRET}")))
    answers = [client.post(f"{path}/connect", body, format="json", headers=key) for _ in range(3)]
    answers.append(client.post(f"{path}/connect", {**body, "is_live": True}, format="json"))
    answers.append(client.post(f"{path}/connect", {**body, "nonsense": 1}, format="json"))
    answers.append(client.get(path))
    assert [answer.status_code for answer in answers] == [422, 422, 200, 403, 400, 200]
    assert answers[-1].json()["key_hint"] == "…0001"
    for needle in (KEY_ID, SECRET):
        assert where_it_stands(needle) == []
        assert needle not in caplog.text
        assert all(needle not in answer.content.decode() for answer in answers)
    assert where_it_stands("PA3WIRE00001")  # the search finds what is there


# --- the other ways in -------------------------------------------------------------------------


def arguments(portfolio: Portfolio, actor: str) -> list[str]:
    return ["--portfolio", str(portfolio.id), "--key-id", KEY_ID, "--actor", actor]


def test_the_command_reads_the_secret_from_its_input(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROKER_SECRET", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    told = io.StringIO()
    call_command("connect_broker", *arguments(portfolio, "alice"), stdout=told)
    assert told.getvalue() == "Connected: alpaca account PA3WIRE00001.\n"
    assert open_credentials(account=account_of(portfolio)).secret == SECRET


def test_the_command_reads_the_secret_from_the_environment_and_tells_refusals(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_SECRET", SECRET)
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("connect_broker", *arguments(portfolio, "nobody"))
    with pytest.raises(CommandError, match="for staff"):
        call_command("connect_broker", *arguments(portfolio, "alice"), "--live")
    monkeypatch.setenv("BROKER_SECRET", "short")
    with pytest.raises(CommandError, match="secret: It has 8 to 128 characters"):
        call_command("connect_broker", *arguments(portfolio, "alice"))
    assert_on_paper(portfolio)


def test_the_admins_page_connects_and_disconnects(
    wire: AlpacaWire, portfolio: Portfolio, users: dict[str, Any]
) -> None:
    client = Client()
    client.force_login(users["steffi"])
    account = account_of(portfolio)
    address = reverse("admin:portfolios_brokeraccount_change", args=[account.pk])
    form = {"broker": "alpaca", "key_id": KEY_ID, "secret": SECRET, "_form_submitted": "True"}
    dialog = client.get(reverse("admin:portfolios_brokeraccount_connect_broker", args=[account.pk]))
    assert 'type="password"' in dialog.content.decode()
    for spoilt in ({"secret": SECRET, "key_id": ""}, {"secret": "known"}):
        refused = client.post(
            reverse("admin:portfolios_brokeraccount_connect_broker", args=[account.pk]), {**form, **spoilt}
        )
        assert spoilt["secret"] not in refused.content.decode()
        assert_on_paper(portfolio)
    client.post(reverse("admin:portfolios_brokeraccount_connect_broker", args=[account.pk]), form)
    assert account_of(portfolio).account_number == "PA3WIRE00001"
    page = client.get(address).content.decode()
    assert "The account is connected." in page and SECRET not in page and KEY_ID not in page
    client.post(
        reverse("admin:portfolios_brokeraccount_disconnect_broker", args=[account.pk]),
        {"_form_submitted": "True"},
    )
    assert_on_paper(portfolio, cash=D("100000.25"))  # type: ignore[arg-type]
