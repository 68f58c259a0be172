"""Every broker keeps the contract; and each behaviour of it can fail."""

import pytest

from tests.contract.behaviours import BEHAVIOURS
from tests.contract.reference import BROKEN, ReferenceSubject

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_it_keeps_the_contract(subject, behaviour):
    behaviour(subject)


@pytest.mark.parametrize(
    ("behaviour", "broken"),
    [(behaviour, broken) for behaviour in BEHAVIOURS for broken in BROKEN[behaviour.__name__]],
    ids=lambda value: value.__name__,
)
def test_a_broker_that_breaks_it_is_caught(monkeypatch, behaviour, broken):
    monkeypatch.setattr("tests.contract.subject.WAIT_SECONDS", 0.05)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        behaviour(ReferenceSubject(broken()))


def test_no_behaviour_is_left_without_a_broker_that_breaks_it():
    assert {behaviour.__name__ for behaviour in BEHAVIOURS} == set(BROKEN)
