"""The brokers that are held against the contract."""

from collections.abc import Callable, Iterator

import pytest

from tests.contract.alpaca_subject import AlpacaSubject
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


SUBJECTS: dict[str, Callable[[pytest.FixtureRequest], Subject]] = {"reference": reference, "alpaca": alpaca}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made = SUBJECTS[request.param](request)
    yield made
    made.close()
