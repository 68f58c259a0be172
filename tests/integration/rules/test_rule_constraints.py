"""What must never be of a rule, the database itself refuses."""

import pytest
from django.db import IntegrityError
from django.utils import timezone

from rules.models import RuleVersion, RuleVersionIsImmutable, TradingRule
from rules.services.rules import create_rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def rule(portfolio, entry, alice):
    return create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)


def refused(reason):
    return pytest.raises(IntegrityError, match=reason)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"rule_type": "hedge"}, "trading_rule_type_known"),
        ({"archived_at": timezone.now()}, "trading_rule_archived_is_inactive"),
        ({"version": 0}, "trading_rule_version"),
    ],
)
def test_a_rule_in_an_impossible_state(rule, change, constraint):
    with refused(constraint):
        TradingRule.objects.filter(pk=rule.pk).update(**change)


def test_a_version_exists_once(rule, alice):
    with refused("rule_version_once"):
        RuleVersion.objects.create(rule=rule, version=1, created_by=alice, **rule.content())


def test_a_version_is_never_changed(rule):
    with refused("immutable"):
        RuleVersion.objects.filter(rule=rule).update(name="Another")


def test_a_version_is_never_deleted(rule):
    with refused("immutable"):
        RuleVersion.objects.filter(rule=rule)._raw_delete("default")


def test_the_model_refuses_before_the_database_must(rule):
    version = RuleVersion.objects.get(rule=rule)
    version.name = "Another"
    with pytest.raises(RuleVersionIsImmutable):
        version.save()
    with pytest.raises(RuleVersionIsImmutable):
        version.delete()


def test_a_rule_has_the_specifications_defaults(portfolio, alice):
    made = TradingRule.objects.create(
        portfolio=portfolio, name="x", rule_type="entry", conditions=[], actions=[], created_by=alice
    )
    made.refresh_from_db()
    assert (made.is_active, made.priority) == (True, 0)
    assert made.created_at is not None and made.updated_at is not None
