"""What is read by SQL of ours on each tick is what the models say, column by column."""

import pytest

from foundation.loading import load_where
from portfolios.approval import MAY_BE_IN_FORCE
from portfolios.models import LimitSet
from portfolios.selectors import current_limit_sets
from rules.models import RuleVersion, TradingRule
from rules.selectors import versions_by_id
from rules.services.rules import create_rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_version_and_its_rule_are_whole(portfolio, entry, alice):
    rule = create_rule(portfolio_id=portfolio.id, rule=entry | {"cooldown": {"minutes": 60}}, actor=alice)
    bare = create_rule(portfolio_id=portfolio.id, rule=entry | {"name": "bare"}, actor=alice)
    stored = {row.pk: row for row in RuleVersion.objects.filter(rule__in=[rule, bare])}
    read = versions_by_id(stored)
    assert {key: columns(row) for key, row in read.items()} == {
        key: columns(row) for key, row in stored.items()
    }
    assert {row.rule_id: columns(row.rule) for row in read.values()} == {
        row.id: columns(row) for row in TradingRule.objects.filter(pk__in=[rule.pk, bare.pk])
    }
    assert {row.cooldown is None for row in read.values()} == {True, False}


def test_rows_come_in_the_order_asked_for_and_can_be_saved(portfolio, entry, alice):
    for name in ("b", "a"):
        create_rule(portfolio_id=portfolio.id, rule=entry | {"name": name}, actor=alice)
    first, second = load_where(TradingRule, "t.portfolio_id = %s ORDER BY t.name", [portfolio.id])
    assert [columns(first), columns(second)] == [columns(row) for row in TradingRule.objects.order_by("name")]
    first.name = "c"
    first.save()
    assert set(TradingRule.objects.values_list("name", flat=True)) == {"b", "c"}


def test_the_limits_read_are_the_newest_that_may_be_in_force(portfolio):
    newest = LimitSet.objects.filter(MAY_BE_IN_FORCE, scope="platform").order_by("-version").first()
    read = current_limit_sets([("platform", None), ("portfolio", portfolio.id)])
    assert columns(read["platform", None]) == columns(newest)
