"""What a broker charges and pays outside of orders is booked once, as it tells: fees, income, cash paid in and out."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from journal.models import Entry
from portfolios.models import BrokerAccount, LedgerTransfer, Portfolio
from portfolios.services.corrections import reverse_entry
from portfolios.services.credentials import ApiKeys
from tests.harness.at_broker import connect
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.models import BrokerActivity, Halt, Reconciliation, ReconciliationBreak
from trading.services import reconciliation, reconciling_cash, reconciling_holdings
from trading.services.breaks import explain_break
from trading.services.reconciliation import reconcile
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
KEY, SECRET = "ALICE", "a-secret-of-alice"


class Scene:
    """Alice's portfolio of 100,000 at the simulated broker, which has as much."""

    def __init__(self, desk: Desk, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.simulator = desk, simulator
        self.number = simulator.account(KEY, secret=SECRET, cash="100000")
        self.account = connect(desk, account_number=self.number)
        monkeypatch.setattr(reconciliation, "broker_of", self.broker)
        monkeypatch.setattr(reconciling_holdings, "SECOND_LOOK_SECONDS", 0.0)

    def broker(self, account: BrokerAccount) -> AlpacaBroker:
        keys = ApiKeys(key_id=KEY, secret=SECRET)
        return AlpacaBroker(
            base_url=self.simulator.base_url, keys=keys, account_number=self.number, deadline_seconds=10.0
        )

    def moves(self, activity_type: str, amount: Any, **more: Any) -> str:
        return self.simulator.activity(KEY, activity_type, amount, **more)

    def reconcile(self) -> Reconciliation:
        return reconcile(account_id=self.account.pk, trigger="periodic")

    @property
    def portfolio(self) -> Portfolio:
        return Portfolio.objects.get(pk=self.desk.portfolio.pk)

    def entries(self) -> list[tuple[str, str, str, Decimal]]:
        """Since it was connected."""
        rows = LedgerTransfer.objects.filter(portfolio=self.desk.portfolio).order_by("id")
        return list(rows.values_list("kind", "debit_account", "credit_account", "amount"))[1:]

    def breaks(self) -> dict[str, str]:
        rows = ReconciliationBreak.objects.filter(ended_at=None)
        return {f"{row.kind} {row.key}": row.detail for row in rows}

    def halts(self) -> list[str]:
        rows = Halt.objects.filter(scope="account", released_at=None)
        return sorted(rows.values_list("mode", flat=True))

    def is_right(self) -> bool:
        """Books and broker agree, nothing is halted, and the books are those of the ledger."""
        assert (self.breaks(), self.halts(), book_differences()) == ({}, [], [])
        witnessed = self.simulator.witness().cash[KEY]
        return witnessed == self.portfolio.cash


@pytest.fixture
def scene(desk: Desk, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Connected, and looked at for the first time."""
    made = Scene(desk, simulator, monkeypatch)
    assert made.reconcile().failure == ""
    return made


class TestBooking:
    def test_the_fees_of_a_day_with_sales_halt_nobody(self, scene: Scene) -> None:
        names = [
            scene.moves(
                "FEE", amount, activity_sub_type=what, description=f"{what} fee for proceed of 10 shares"
            )
            for what, amount in (("REG", "-0.27"), ("TAF", "-0.02"), ("CAT", "-0.01"))
        ]
        assert [scene.reconcile().failure for _ in range(3)] == ["", "", ""]
        assert scene.entries() == [
            ("broker_fee", "fees", "cash", D(amount)) for amount in ("0.27", "0.02", "0.01")
        ]
        assert (scene.portfolio.cash, scene.portfolio.realised_pnl) == (D("99999.70"), D("-0.30"))
        assert scene.portfolio.paid_in == 100_000, "fees are part of the return"
        assert list(BrokerActivity.objects.order_by("id").values_list("activity_id", flat=True)) == names
        event = Entry.objects.filter(kind="account.activity_booked").order_by("seq").first()
        assert event is not None
        payload = json.loads(event.payload)
        assert {name: payload[name] for name in ("kind", "amount", "cash", "currency", "detail")} == {
            "kind": "fee", "amount": "-0.27", "cash": "99999.73", "currency": "USD",
            "detail": "FEE REG REG fee for proceed of 10 shares",
        }  # fmt: skip
        assert scene.is_right()

    def test_income_is_profit_and_what_is_paid_in_or_out_is_none(self, scene: Scene) -> None:
        for kind, amount in (
            ("DIV", "25.00"), ("DIVNRA", "-7.50"), ("INT", "1.11"),
            ("CSD", "5000"), ("CSW", "-1200.50"), ("JNLC", "0.06"),
        ):  # fmt: skip
            scene.moves(kind, amount, symbol="AAA" if kind.startswith("DIV") else None)
        scene.reconcile()
        assert scene.entries() == [
            ("dividend", "cash", "income", D(25)),
            ("interest", "cash", "income", D("1.11")),
            ("deposit", "cash", "capital", D(5000)),
            ("deposit", "cash", "capital", D("0.06")),
            ("dividend", "income", "cash", D("7.5")),
            ("withdrawal", "capital", "cash", D("1200.5")),
        ]
        assert scene.portfolio.realised_pnl == D("18.61")
        assert scene.portfolio.paid_in == D("103799.56")
        assert scene.is_right()

    def test_what_moves_no_cash_is_nothing(self, scene: Scene) -> None:
        scene.moves("JNLS", None, in_cash=False, symbol="AAA", qty="3")
        scene.moves("SSP", "0", symbol="AAA")
        scene.moves("CSD", "999", in_cash=False, status="canceled")
        scene.reconcile()
        assert scene.entries() == [] and scene.is_right()

    def test_told_twice_in_one_answer_it_is_booked_once(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35")
        scene.moves("FEE", "-0.35")
        scene.simulator.misbehave("listed_twice", endpoints=["activities"])
        scene.reconcile()
        scene.reconcile()
        assert scene.portfolio.cash == D("99999.30")
        assert scene.is_right()

    def test_a_crash_before_the_commit_books_nothing_and_the_next_look_does(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene.moves("FEE", "-0.35")
        with monkeypatch.context() as patched:
            patched.setattr(reconciling_cash, "reach", broken)
            assert scene.reconcile().failure == "RuntimeError: the process ends here"
        assert (scene.entries(), BrokerActivity.objects.count()) == ([], 0)
        assert not Entry.objects.filter(kind="account.activity_booked").exists()
        scene.reconcile()
        assert scene.portfolio.cash == D("99999.65") and scene.is_right()

    def test_the_database_takes_an_activity_once(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35")
        scene.reconcile()
        row = BrokerActivity.objects.get()
        row.pk, row.entry_id = None, scene.account.pk
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)

    def test_an_entry_that_is_reversed_is_not_booked_again(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35")
        scene.reconcile()
        row = BrokerActivity.objects.get()
        assert row.entry_id is not None
        reverse_entry(
            portfolio_id=scene.portfolio.pk, entry_id=row.entry_id, actor=scene.desk.owner, reason="looking"
        )
        assert (scene.portfolio.cash, scene.portfolio.realised_pnl) == (100_000, 0)
        scene.reconcile()
        assert (scene.portfolio.cash, book_differences()) == (100_000, [])


def broken(name: str, **more: Any) -> None:
    raise RuntimeError("the process ends here")


class TestBefore:
    def test_what_moved_before_it_was_connected_is_in_the_cash_that_it_began_with(
        self, desk: Desk, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene = Scene(desk, simulator, monkeypatch)
        scene.moves("CSD", "100000", in_cash=False)
        scene.moves("CIL", "3.00", in_cash=False)
        scene.reconcile()
        scene.reconcile()
        assert scene.entries() == [] and scene.is_right()
        scene.moves("FEE", "-0.35")
        scene.reconcile()
        assert scene.portfolio.cash == D("99999.65") and scene.is_right()

    def test_connected_anew_while_the_broker_answers_nothing_is_booked(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene.moves("FEE", "-0.35")
        ask = AlpacaBroker.cash_activities_since

        def meanwhile(broker: AlpacaBroker, since: Any) -> Any:
            told = ask(broker, since)
            BrokerAccount.objects.filter(pk=scene.account.pk).update(broker="paper", account_number="")
            return told

        monkeypatch.setattr(AlpacaBroker, "cash_activities_since", meanwhile)
        assert "was connected anew" in scene.reconcile().failure
        assert (scene.entries(), book_differences()) == ([], [])


class TestNotByItself:
    def test_an_unknown_type_is_a_break_that_names_it(self, scene: Scene) -> None:
        name = scene.moves("CIL", "3.10", symbol="AAA")
        scene.reconcile()
        scene.reconcile()
        detail = "CIL of 3.10: Alpaca's activities of this type are not booked by themselves"
        assert scene.breaks() == {f"activity {name}": detail}, "the cash differs by just that"
        assert scene.halts() == ["reduce_only"]
        assert (scene.entries(), book_differences()) == ([], [])

    def test_another_currency_is_a_break(self, scene: Scene) -> None:
        name = scene.moves("DIV", "12.00", in_cash=False, currency="EUR")
        scene.reconcile()
        assert scene.breaks()[f"activity {name}"].endswith(
            "it is in EUR, the books are kept in USD"
        ) and scene.halts() == ["reduce_only"]
        assert scene.entries() == []

    def test_what_is_no_number_is_quarantined_until_it_is_one(self, scene: Scene) -> None:
        name = scene.moves("FEE", "-0.35")
        scene.simulator.misbehave("nan", endpoints=["activities"])
        scene.reconcile()
        assert scene.breaks()[f"activity {name}"] == "FEE of NaN: net_amount is no number below 10^12"
        assert scene.entries() == []
        scene.simulator.behave()
        scene.reconcile()
        assert (scene.breaks(), scene.portfolio.cash) == ({}, D("99999.65"))
        assert scene.halts() == ["reduce_only"], "a person releases it"
        assert book_differences() == []

    def test_more_than_there_is_cannot_be_taken_from_the_books(self, scene: Scene) -> None:
        name = scene.moves("CSW", "-100000.01")
        scene.reconcile()
        assert scene.breaks()[f"activity {name}"].endswith(
            "with it the cash would be -0.01000000, which the books cannot hold"
        )
        assert (scene.entries(), list(scene.breaks())) == ([], [f"activity {name}"])

    def test_what_is_taken_may_need_what_is_paid_the_same_day(self, scene: Scene) -> None:
        scene.moves("CSW", "-100000.01")
        scene.moves("DIV", "25.00")
        scene.reconcile()
        assert scene.portfolio.cash == D("24.99") and scene.is_right()

    def test_what_is_told_otherwise_later_is_a_break(self, scene: Scene) -> None:
        first, second = scene.moves("DIV", "25"), scene.moves("FEE", "-0.35")
        scene.reconcile()
        scene.moves("DIV", "24", id=first, in_cash=False)
        scene.moves("FEE", "-0.35", id=second, in_cash=False, status="canceled")
        scene.reconcile()
        told = scene.breaks()
        assert told[f"activity {first}"].endswith("it was booked as 25 and is told as otherwise")
        assert "it was booked and is told as cancelled: reverse entry" in told[f"activity {second}"]
        assert scene.portfolio.cash == D("100024.65")
        scene.simulator.foreign_cash(KEY, "-0.65")  # as it has told of
        later()
        scene.reconcile()
        assert len(scene.breaks()) == 2, "the cash differs by just that"

    def test_once_explained_it_is_no_news(self, scene: Scene) -> None:
        bob = risk_officer(scene.desk)
        scene.moves("MISC", "0.01")
        scene.reconcile()
        explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="a rounding", actor=bob)
        scene.reconcile()
        assert scene.breaks() == {}


class TestTiming:
    def test_told_before_the_cash_shows_it_it_halts_nobody(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35", in_cash=False)
        scene.reconcile()
        scene.reconcile()
        assert (scene.breaks(), scene.halts(), scene.portfolio.cash) == ({}, [], D("99999.65"))
        scene.simulator.foreign_cash(KEY, "-0.35")
        later()
        scene.reconcile()
        assert scene.is_right()

    def test_when_the_cash_never_shows_it_it_is_a_break(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35", in_cash=False)
        scene.reconcile()
        later()
        scene.reconcile()
        assert list(scene.breaks()) == ["cash USD"] and scene.halts() == ["reduce_only"]

    def test_in_the_cash_before_it_is_told_it_is_a_break_until_it_is(self, scene: Scene) -> None:
        scene.moves("FEE", "-0.35", listed_after=3600)
        scene.reconcile()
        assert list(scene.breaks()) == ["cash USD"] and scene.entries() == []
        scene.moves("FEE", "-0.35", in_cash=False)  # and now it is told
        scene.reconcile()
        assert (scene.breaks(), scene.portfolio.cash) == ({}, D("99999.65"))


def later() -> None:
    """The time in which its cash shows what a broker has told of is over."""
    span = reconciling_cash.SHOWN_WITHIN + timedelta(seconds=1)
    BrokerActivity.objects.update(created_at=F("created_at") - span)
