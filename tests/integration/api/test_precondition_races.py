"""Two clients change the same rule at once, each with the tag that both have seen."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from portfolios.services.portfolios import create_portfolio
from rules.services.rules import create_rule
from tests.harness.databases import CommittedDatabase
from tests.harness.people import person
from tests.harness.racing import racing
from tests.harness.trading import STRONG_BUY_ENTRY
from tests.integration.api.test_preconditions import changed

pytestmark = pytest.mark.integration


def test_of_two_who_change_it_at_once_with_the_same_tag_one_is_refused(
    committed_db: CommittedDatabase,
) -> None:
    alice = person("alice")
    portfolio = create_portfolio(name="Raced", owner=alice.user)
    rule = create_rule(portfolio_id=portfolio.id, rule=STRONG_BUY_ENTRY, actor=alice.user)
    path = f"/api/auto-trading/rules/{rule.id}"

    def get() -> Any:
        return APIClient().get(f"{path}/details", headers=alice.headers)

    for number in range(8):
        seen = get()

        def put(priority: int, seen: Any = seen) -> int:
            body = changed(seen.json(), priority=priority)
            headers = {"If-Match": seen["ETag"], **alice.headers}
            return APIClient().put(path, body, format="json", headers=headers).status_code

        with racing(lambda n=number: put(10 + 2 * n), lambda n=number: put(11 + 2 * n)) as racers:  # type: ignore[misc]
            assert sorted(racers.race()) == [200, 412]
        assert get().json()["version"] == seen.json()["version"] + 1
