"""The table of roles is the one that people read: each cell of docs/roles.md, written by hand."""

import pytest

from portfolios.core.access import Action, Standing, acting_role, may, may_see, wanted
from tests.harness.roles_table import COLUMNS, MEMBERS, by_action, rows

STANDINGS = {
    **{role: Standing(role) for role in MEMBERS},
    "staff": Standing(is_staff=True),
    "superuser": Standing(acting_role(None, is_superuser=True), is_staff=True, is_superuser=True),
    "outsider": Standing(),
}


def test_every_action_has_one_row() -> None:
    assert sorted(row.action for row in rows()) == sorted(Action)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("action", [action.value for action in Action])
def test_each_cell_is_as_it_is_written(action: str, column: str) -> None:
    standing, cell = STANDINGS[column], by_action()[action].cells[column]
    assert may(action, standing) is (cell == "yes")
    assert may(action, standing, is_author=True) is (cell in {"yes", "own"})


def test_a_superuser_who_is_a_member_has_his_own_role() -> None:
    role = acting_role("viewer", is_superuser=True)
    standing = Standing(role, is_staff=True, is_superuser=True)
    assert not may(Action.TRADE, standing) and may(Action.STOP_PLATFORM, standing)


def test_staff_see_a_portfolio_for_what_is_theirs_and_outsiders_never() -> None:
    assert may_see(Action.EXPLAIN_BREAK, STANDINGS["staff"])
    assert not may_see(Action.VIEW, STANDINGS["staff"])
    assert not any(may_see(action, STANDINGS["outsider"]) for action in Action)


def test_it_says_what_is_needed() -> None:
    assert wanted(Action.TRADE) == "the role owner or trader"
    assert wanted(Action.EXPLAIN_BREAK) == "the role risk_officer, or staff"
    assert (wanted(Action.STOP_PLATFORM), wanted(Action.END_FOUR_EYES)) == ("staff", "a superuser")
