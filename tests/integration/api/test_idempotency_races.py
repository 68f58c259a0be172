"""Whatever requests come at once, with whatever keys: one effect for each key, and one answer."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from portfolios.models import LedgerTransfer
from portfolios.services.portfolios import create_portfolio
from tests.harness.databases import CommittedDatabase
from tests.harness.people import person
from tests.harness.racing import racing

pytestmark = pytest.mark.integration
AT_ONCE = 4
REQUESTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["1.00", "2.00"])),
    min_size=AT_ONCE, max_size=AT_ONCE,
)  # fmt: skip


def test_each_key_has_one_effect_and_one_answer(committed_db: CommittedDatabase) -> None:
    alice = person("alice")
    rounds = iter(range(10**6))

    @settings(
        max_examples=25, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(REQUESTS)
    def check(requests: list[tuple[str | None, str]]) -> None:
        number = next(rounds)
        portfolio = create_portfolio(name=f"Round {number}", owner=alice.user)

        def send(key: str | None, amount: str) -> tuple[str | None, str, int, Any]:
            headers = {"Idempotency-Key": f"{number}-{key}"} if key is not None else {}
            answer = APIClient().post(
                f"/api/portfolios/{portfolio.id}/deposits", {"amount": amount}, format="json",
                headers=headers | alice.headers,
            )  # fmt: skip
            return key, amount, answer.status_code, answer.json()

        with racing(*(lambda pair=pair: send(*pair) for pair in requests)) as racers:  # type: ignore[misc]
            answers = racers.race()
        assert racers.errors == []
        booked = Counter(
            LedgerTransfer.objects.filter(portfolio=portfolio, kind="deposit").values_list(
                "amount", flat=True
            )
        )
        wanted: Counter[Decimal] = Counter(Decimal(amount) for key, amount, *_ in answers if key is None)
        for key in {key for key, *_ in answers if key is not None}:
            mine = [answer for answer in answers if answer[0] == key]
            done = [(amount, body) for _, amount, status, body in mine if status == 201]
            assert len({amount for amount, _ in done}) == 1
            assert all(body == done[0][1] for _, body in done)
            wanted[Decimal(done[0][0])] += 1
            assert {status for _, amount, status, _ in mine if amount != done[0][0]} <= {422}
        assert booked == wanted

    check()
