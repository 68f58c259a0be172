"""Rules are made, changed, switched and archived by services: versioned and journalled."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.errors import Conflict, InvalidInput, NotFound
from journal.models import Entry
from rules.models import RuleVersion, TradingRule
from rules.selectors import active_rule_versions, rules_of_portfolio, visible_rules
from rules.services import rules as rule_services
from rules.services.rules import activate_rule, archive_rule, create_rule, deactivate_rule, update_rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def rule(portfolio, entry, alice):
    return create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)


def journal(portfolio):
    kinds = Entry.objects.filter(stream_id=portfolio.id, kind__startswith="rule.").order_by("seq")
    return list(kinds.values_list("kind", flat=True))


def versions(rule):
    return list(RuleVersion.objects.filter(rule=rule).order_by("version"))


def test_a_created_rule_is_in_force_at_version_one(rule, portfolio, entry, alice):
    rule.refresh_from_db()
    assert (rule.version, rule.is_active, rule.rule_type, rule.priority) == (1, True, "entry", 0)
    assert rule.conditions == entry["conditions"]
    assert rule.actions == entry["actions"]
    (version,) = versions(rule)
    assert version.content() == rule.content()
    assert version.created_by == alice
    assert journal(portfolio) == ["rule.created"]


def test_a_rule_may_be_created_inactive(portfolio, entry, alice):
    create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice, is_active=False)
    assert active_rule_versions([portfolio.id]) == []


def test_a_rule_with_faults_is_refused_and_nothing_is_stored(portfolio, entry, alice):
    entry["conditions"][1]["value"] = 80
    with pytest.raises(InvalidInput) as refusal:
        create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)
    assert refusal.value.errors == [
        {
            "path": "conditions[1].value",
            "message": "confidence_score is never above 1, so 80 decides nothing.",
            "suggestion": "Did you mean 0.8?",
        }
    ]
    assert not TradingRule.objects.exists()
    assert journal(portfolio) == []


def test_a_rule_needs_a_portfolio(entry, alice):
    with pytest.raises(NotFound):
        create_rule(portfolio_id=uuid.uuid4(), rule=entry, actor=alice)


def test_a_portfolio_has_a_bounded_number_of_rules(monkeypatch, rule, portfolio, stop_loss, alice):
    monkeypatch.setattr(rule_services, "RULES_MAX", 1)
    with pytest.raises(Conflict, match="archive one first"):
        create_rule(portfolio_id=portfolio.id, rule=stop_loss, actor=alice)
    archive_rule(rule_id=rule.id, actor=alice)
    create_rule(portfolio_id=portfolio.id, rule=stop_loss, actor=alice)


def test_a_change_makes_a_new_version_and_keeps_the_old_one(rule, portfolio, entry, alice):
    entry["conditions"][1]["value"] = 0.9
    updated = update_rule(rule_id=rule.id, rule=entry, actor=alice)
    assert updated.version == 2
    old, new = versions(rule)
    assert [version.conditions[1]["value"] for version in (old, new)] == [0.8, 0.9]
    assert active_rule_versions([portfolio.id]) == [new]
    assert journal(portfolio) == ["rule.created", "rule.updated"]


@pytest.mark.parametrize("is_active", [True, False])
def test_the_event_of_a_change_tells_whether_the_rule_is_in_force(portfolio, entry, alice, is_active):
    rule = create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice, is_active=is_active)
    update_rule(rule_id=rule.id, rule=entry | {"name": "Changed"}, actor=alice)
    told = Entry.objects.get(stream_id=portfolio.id, kind="rule.updated")
    assert json.loads(told.payload)["is_active"] is is_active


def test_the_same_content_again_changes_nothing(rule, portfolio, entry, alice):
    assert update_rule(rule_id=rule.id, rule=entry, actor=alice).version == 1
    assert len(versions(rule)) == 1
    assert journal(portfolio) == ["rule.created"]


def test_a_change_on_an_old_look_is_refused(rule, entry, alice):
    update_rule(rule_id=rule.id, rule=entry | {"name": "First"}, actor=alice, expected_version=1)
    with pytest.raises(Conflict, match="version 2, not 1"):
        update_rule(rule_id=rule.id, rule=entry | {"name": "Second"}, actor=alice, expected_version=1)
    assert TradingRule.objects.get(pk=rule.id).name == "First"


def test_a_change_with_faults_is_refused(rule, entry, alice):
    with pytest.raises(InvalidInput):
        update_rule(rule_id=rule.id, rule=entry | {"name": ""}, actor=alice)
    assert len(versions(rule)) == 1


def test_a_rule_is_switched_off_and_on(rule, portfolio, alice):
    deactivate_rule(rule_id=rule.id, actor=alice)
    assert active_rule_versions([portfolio.id]) == []
    activate_rule(rule_id=rule.id, actor=alice)
    assert [version.rule for version in active_rule_versions([portfolio.id])] == [rule]
    assert journal(portfolio) == ["rule.created", "rule.deactivated", "rule.activated"]
    assert len(versions(rule)) == 1, "switching changes nothing of what it says"


def test_switching_twice_is_told_once(rule, portfolio, alice):
    activate_rule(rule_id=rule.id, actor=alice)
    deactivate_rule(rule_id=rule.id, actor=alice)
    deactivate_rule(rule_id=rule.id, actor=alice)
    assert journal(portfolio) == ["rule.created", "rule.deactivated"]


def test_an_archived_rule_is_out_of_force_for_good(rule, portfolio, entry, alice):
    archive_rule(rule_id=rule.id, actor=alice)
    archive_rule(rule_id=rule.id, actor=alice)
    assert active_rule_versions([portfolio.id]) == []
    assert not rules_of_portfolio(portfolio.id).exists()
    assert len(versions(rule)) == 1, "its history stays"
    with pytest.raises(Conflict, match="archived"):
        activate_rule(rule_id=rule.id, actor=alice)
    with pytest.raises(Conflict, match="archived"):
        update_rule(rule_id=rule.id, rule=entry, actor=alice)
    assert journal(portfolio) == ["rule.created", "rule.archived"]


def test_a_stored_rule_that_is_no_longer_valid_is_not_put_in_force(rule, alice):
    deactivate_rule(rule_id=rule.id, actor=alice)
    TradingRule.objects.filter(pk=rule.id).update(conditions=[{"field": "gone"}])
    with pytest.raises(InvalidInput):
        activate_rule(rule_id=rule.id, actor=alice)


@pytest.mark.parametrize("service", [activate_rule, deactivate_rule, archive_rule])
def test_a_rule_that_does_not_exist(service, alice):
    with pytest.raises(NotFound):
        service(rule_id=uuid.uuid4(), actor=alice)


def test_the_portfolio_is_locked_before_the_rule(rule, alice):
    """The lock order that holds everywhere; another order would deadlock with bookkeeping."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        deactivate_rule(rule_id=rule.id, actor=alice)
    locks = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    tables = ["portfolios_portfolio", "trading_rules", "journal_streams"]
    assert [next(table for table in tables if table in lock) for lock in locks] == tables


def test_charlie_sees_nothing(rule, alice, charlie):
    assert list(visible_rules(alice)) == [rule]
    assert list(visible_rules(charlie)) == []


def test_what_is_in_force_comes_in_one_query(rule, portfolio, stop_loss, alice, django_assert_num_queries):
    create_rule(portfolio_id=portfolio.id, rule=stop_loss, actor=alice)
    update_rule(rule_id=rule.id, rule=rule.content() | {"priority": 5}, actor=alice)
    with django_assert_num_queries(1):
        in_force = active_rule_versions([portfolio.id])
        assert [(version.rule.name, version.version, version.priority) for version in in_force] == [
            ("AI Strong Buy Entry", 2, 5),
            ("Stop Loss Protection", 1, 0),
        ]


def test_the_journal_tells_what_the_rule_said_and_who_did_it(rule, portfolio, entry):
    payload = Entry.objects.get(stream_id=portfolio.id, kind="rule.created").payload
    for text in (str(rule.id), "alice", '"ai_recommendation"', '"STRONG_BUY"'):
        assert text in payload
