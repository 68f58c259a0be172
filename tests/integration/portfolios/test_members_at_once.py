"""However two owners change the members at once, one owner stays."""

import pytest
from django.contrib.auth import get_user_model

from foundation.errors import Conflict, NotFound
from portfolios.models import Member
from portfolios.services.portfolios import create_portfolio, remove_member, set_member
from tests.harness.databases import CommittedDatabase
from tests.harness.racing import racing

pytestmark = pytest.mark.integration


def test_two_owners_who_remove_each_other_leave_one(committed_db: CommittedDatabase) -> None:
    alice, zoe = (get_user_model().objects.create(username=name) for name in ("alice", "zoe"))
    portfolio = create_portfolio(name="Growth", owner=alice)
    set_member(portfolio=portfolio, user=zoe, role="owner", actor=alice)
    with racing(
        lambda: remove_member(portfolio=portfolio, user=zoe, actor=alice),
        lambda: remove_member(portfolio=portfolio, user=alice, actor=zoe),
    ) as racers:
        racers.race()
    assert [type(error) for error in racers.errors] in ([NotFound], [Conflict])
    assert Member.objects.filter(portfolio=portfolio, role="owner").count() == 1
