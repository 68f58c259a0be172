"""The brokers that are held against the contract."""

from collections.abc import Callable, Iterator

import pytest

from tests.contract.alpaca_subject import AlpacaSubject
from tests.contract.paper_subject import PaperSubject
from tests.contract.reference import ReferenceSubject
from tests.contract.subject import Subject
from tests.harness.simulator import Simulator


def reference(request: pytest.FixtureRequest) -> Subject:
    return ReferenceSubject()


def alpaca(request: pytest.FixtureRequest) -> Subject:
    adapter = pytest.importorskip("trading.brokers.alpaca.broker")
    keys = pytest.importorskip("portfolios.services.credentials").ApiKeys
    simulator: Simulator = request.getfixturevalue("simulator")
    return AlpacaSubject(
        simulator,
        lambda *, base_url, key_id, secret, account_number: adapter.AlpacaBroker(
            base_url=base_url,
            keys=keys(key_id=key_id, secret=secret),
            account_number=account_number,
            deadline_seconds=5.0,
        ),
    )


def paper(request: pytest.FixtureRequest) -> Subject:
    harness = pytest.importorskip("tests.harness.paper")
    request.getfixturevalue("db")
    harness.wide_limits()
    return PaperSubject(pytest.importorskip("trading.brokers.paper").PaperBroker, harness.order)


SUBJECTS: dict[str, Callable[[pytest.FixtureRequest], Subject]] = {
    "reference": reference,
    "alpaca": alpaca,
    "paper": paper,
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made = SUBJECTS[request.param](request)
    yield made
    made.close()
