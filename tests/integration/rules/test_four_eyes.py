"""Rules of a portfolio that needs four eyes: Alice proposes, Bob approves exactly that version."""

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from journal.models import Alert, Entry
from portfolios.models import BrokerAccount, Portfolio
from portfolios.services.portfolios import create_portfolio, set_four_eyes, set_member
from rules.models import RuleVersion, TradingRule
from rules.selectors import active_rule_versions, latest_version, pending_versions, rules_in_force
from rules.services.rules import (
    activate_rule,
    approve_rule_version,
    archive_rule,
    create_rule,
    deactivate_rule,
    reject_rule_version,
    update_rule,
)

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def bob(portfolio, alice):
    made = get_user_model().objects.create_user("bob")
    set_member(portfolio=portfolio, user=made, role="risk_officer", actor=alice)
    return made


@pytest.fixture
def old(portfolio, entry, alice):
    """In force since before four eyes were asked for."""
    return create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)


@pytest.fixture
def careful(portfolio, alice, bob, old):
    return set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)


@pytest.fixture
def changed(careful, old, entry, alice):
    """Version 2 of it, with another priority, waits."""
    return update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=alice)


def in_force(portfolio):
    rows = active_rule_versions([portfolio.id])
    assert [row.version_id for row in rules_in_force([portfolio.id])] == [row.pk for row in rows]
    return [(row.rule.name, row.version, row.priority) for row in rows]


def kinds(portfolio):
    rows = Entry.objects.filter(stream_id=portfolio.id, kind__startswith="rule.").order_by("seq")
    return list(rows.values_list("kind", flat=True))


NAME = "AI Strong Buy Entry"


# --- changes ------------------------------------------------------------------------------------------


def test_what_was_in_force_stays_in_force(careful, old, alice):
    assert activate_rule(rule_id=old.id, actor=alice).is_active, "nothing happens to an active rule"
    assert in_force(careful) == [(NAME, 1, 0)] and not pending_versions().exists()


@pytest.mark.parametrize("was", ["prepared", "in force"])
def test_what_nobody_ever_approved_is_proposed_when_it_is_activated(careful, old, alice, bob, was):
    """Whether it was made inactive beforehand, or stopped since."""
    if was == "prepared":
        TradingRule.objects.filter(pk=old.pk).update(is_active=False)
    else:
        deactivate_rule(rule_id=old.id, actor=alice)
    rule = activate_rule(rule_id=old.id, actor=alice)
    assert (rule.is_active, rule.version, rule.activate_when_approved) == (False, 1, True)
    (waiting,) = pending_versions()
    assert (waiting.version, waiting.content(), waiting.created_by) == (2, old.content(), alice)
    assert in_force(careful) == [] and kinds(careful)[-1] == "rule.proposed"
    with pytest.raises(Conflict) as again:
        activate_rule(rule_id=old.id, actor=alice)
    assert again.value.code == "approval_required"
    with pytest.raises(Conflict) as alone:
        approve_rule_version(rule_id=old.id, version=2, actor=alice)
    assert alone.value.code == "four_eyes"
    assert approve_rule_version(rule_id=old.id, version=2, actor=bob).is_active
    assert in_force(careful) == [(NAME, 2, 0)]
    deactivate_rule(rule_id=old.id, actor=alice)
    assert activate_rule(rule_id=old.id, actor=alice).is_active, "what was approved is switched by one person"


def test_a_rejected_activation_leaves_the_rule_as_it_is_and_may_be_asked_again(careful, old, alice, bob):
    deactivate_rule(rule_id=old.id, actor=alice)
    activate_rule(rule_id=old.id, actor=alice)
    reject_rule_version(rule_id=old.id, version=2, actor=bob)
    assert in_force(careful) == []
    assert not TradingRule.objects.get(pk=old.pk).activate_when_approved
    activate_rule(rule_id=old.id, actor=alice)
    assert pending_versions().get().version == 3


def test_with_a_live_account_an_activation_waits_too(portfolio, old, alice):
    deactivate_rule(rule_id=old.id, actor=alice)
    BrokerAccount.objects.filter(portfolio=portfolio).update(broker="alpaca", is_live=True)
    assert not activate_rule(rule_id=old.id, actor=alice).is_active
    assert in_force(portfolio) == []


def test_a_change_waits_and_the_rule_stays_as_it_is(changed, careful):
    assert (changed.version, changed.priority, changed.is_active) == (1, 0, True)
    assert in_force(careful) == [(NAME, 1, 0)]
    (waiting,) = pending_versions()
    assert (waiting.version, waiting.priority, waiting.approval) == (2, 2, "waiting")
    assert kinds(careful)[-1] == "rule.proposed"
    assert Alert.objects.get(kind="rule.proposed").severity == "info"


def test_approved_by_another_person_it_is_in_force(changed, careful, bob):
    rule = approve_rule_version(rule_id=changed.id, version=2, actor=bob)
    assert (rule.version, rule.priority, rule.is_active) == (2, 2, True)
    assert in_force(careful) == [(NAME, 2, 2)]
    version = RuleVersion.objects.get(rule=rule, version=2)
    assert (version.approval, version.decided_by, version.decided_at is None) == ("approved", bob, False)
    assert not pending_versions().exists()
    assert kinds(careful)[-1] == "rule.approved"


def test_with_a_live_account_it_waits_without_being_asked_for(portfolio, old, entry, alice):
    BrokerAccount.objects.filter(portfolio=portfolio).update(broker="alpaca", is_live=True)
    update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=alice)
    assert in_force(portfolio) == [(NAME, 1, 0)]


@pytest.mark.parametrize("superuser", [False, True])
def test_nobody_approves_his_own_a_superuser_neither(careful, old, entry, alice, superuser):
    author = get_user_model().objects.create_superuser("dora") if superuser else alice
    update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=author)
    with pytest.raises(Conflict) as refusal:
        approve_rule_version(rule_id=old.id, version=2, actor=author)
    assert refusal.value.code == "four_eyes"
    assert in_force(careful) == [(NAME, 1, 0)]


def test_who_may_not_decide(changed, careful, alice, charlie):
    members = {role: get_user_model().objects.create_user(role) for role in ("viewer", "trader")}
    for role, member in members.items():
        set_member(portfolio=careful, user=member, role=role, actor=alice)
    for decide in (approve_rule_version, reject_rule_version):
        with pytest.raises(NotFound):
            decide(rule_id=changed.id, version=2, actor=charlie)
        for member in members.values():
            with pytest.raises(Forbidden, match="risk_officer"):
                decide(rule_id=changed.id, version=2, actor=member)
        with pytest.raises(NotFound, match="no version 3"):
            decide(rule_id=changed.id, version=3, actor=alice)
    assert pending_versions().count() == 1


def test_rejected_it_is_never_in_force(changed, careful, bob):
    reject_rule_version(rule_id=changed.id, version=2, actor=bob)
    for decide in (approve_rule_version, reject_rule_version):
        with pytest.raises(Conflict, match="rejected already"):
            decide(rule_id=changed.id, version=2, actor=bob)
    assert in_force(careful) == [(NAME, 1, 0)]
    assert kinds(careful)[-1] == "rule.rejected"


def test_its_author_withdraws_it_whatever_his_role(careful, old, entry, alice):
    tara = get_user_model().objects.create_user("tara")
    set_member(portfolio=careful, user=tara, role="trader", actor=alice)
    update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=tara)
    reject_rule_version(rule_id=old.id, version=2, actor=tara)
    assert not pending_versions().exists()


def test_a_newer_change_replaces_one_that_waits(changed, careful, entry, alice, bob):
    update_rule(rule_id=changed.id, rule=entry | {"priority": 3}, actor=alice)
    with pytest.raises(Conflict) as refusal:
        approve_rule_version(rule_id=changed.id, version=2, actor=bob)
    assert refusal.value.code == "superseded"
    approve_rule_version(rule_id=changed.id, version=3, actor=bob)
    with pytest.raises(Conflict, match="newer version"):
        approve_rule_version(rule_id=changed.id, version=2, actor=bob)
    with pytest.raises(Conflict, match="approved already"):
        approve_rule_version(rule_id=changed.id, version=3, actor=bob)
    assert in_force(careful) == [(NAME, 3, 3)]


def test_the_expected_version_is_the_latest_that_was_not_rejected(changed, entry, alice, bob):
    with pytest.raises(Conflict, match="version 2, not 1"):
        update_rule(rule_id=changed.id, rule=entry | {"priority": 3}, actor=alice, expected_version=1)
    update_rule(rule_id=changed.id, rule=entry | {"priority": 3}, actor=alice, expected_version=2)
    for version in (2, 3):
        reject_rule_version(rule_id=changed.id, version=version, actor=bob)
    update_rule(rule_id=changed.id, rule=entry | {"priority": 4}, actor=alice, expected_version=1)
    assert latest_version(changed.id).version == 4


def test_the_same_proposal_again_changes_nothing(changed, entry, alice):
    update_rule(rule_id=changed.id, rule=entry | {"priority": 2}, actor=alice)
    assert changed.versions.count() == 2


def test_once_four_eyes_are_over_the_same_content_takes_effect(changed, careful, entry, alice):
    set_four_eyes(
        portfolio_id=careful.id, enabled=False, actor=get_user_model().objects.create_superuser("dora")
    )
    assert in_force(careful) == [(NAME, 1, 0)], "what waits goes on waiting"
    update_rule(rule_id=changed.id, rule=entry | {"priority": 2}, actor=alice)
    assert in_force(careful) == [(NAME, 3, 2)]
    assert not pending_versions().exists()


@pytest.mark.usefixtures("without_limit_orders")
def test_what_an_active_rule_could_not_carry_out_is_not_proposed(careful, old, entry, alice):
    entry["actions"][0] |= {"order_type": "limit", "limit_offset_bps": 25}
    with pytest.raises(InvalidInput, match="cannot be in force"):
        update_rule(rule_id=old.id, rule=entry, actor=alice)


@pytest.mark.usefixtures("without_limit_orders")
def test_it_is_looked_at_again_when_it_is_approved(careful, old, entry, alice, bob):
    """Proposed while the rule was inactive; meanwhile somebody has activated what was approved before."""
    update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=alice)
    approve_rule_version(rule_id=old.id, version=2, actor=bob)
    deactivate_rule(rule_id=old.id, actor=alice)
    entry["actions"][0] |= {"order_type": "limit", "limit_offset_bps": 25}
    update_rule(rule_id=old.id, rule=entry, actor=alice)
    activate_rule(rule_id=old.id, actor=alice)
    with pytest.raises(InvalidInput, match="cannot be in force"), transaction.atomic():
        approve_rule_version(rule_id=old.id, version=3, actor=bob)
    assert (in_force(careful), pending_versions().count()) == ([(NAME, 2, 2)], 1)


# --- new rules ----------------------------------------------------------------------------------------


def test_a_new_rule_waits_inactive_and_becomes_active_when_approved(careful, stop_loss, alice, bob):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice)
    assert (made.is_active, made.activate_when_approved) == (False, True)
    assert kinds(careful)[-2:] == ["rule.created", "rule.proposed"]
    with pytest.raises(Conflict) as refusal:
        activate_rule(rule_id=made.id, actor=alice)
    assert refusal.value.code == "approval_required"
    assert len(in_force(careful)) == 1
    rule = approve_rule_version(rule_id=made.id, version=1, actor=bob)
    assert (rule.is_active, rule.activate_when_approved) == (True, False)
    assert len(in_force(careful)) == 2


def test_one_that_was_to_be_inactive_is_activated_later(careful, stop_loss, alice, bob):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice, is_active=False)
    assert not approve_rule_version(rule_id=made.id, version=1, actor=bob).is_active
    assert activate_rule(rule_id=made.id, actor=alice).is_active


def test_its_change_while_it_waits_is_what_becomes_active(careful, stop_loss, alice, bob):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice)
    update_rule(rule_id=made.id, rule=stop_loss | {"priority": 9}, actor=alice)
    approve_rule_version(rule_id=made.id, version=2, actor=bob)
    assert ("Stop Loss Protection", 2, 9) in in_force(careful)


@pytest.mark.parametrize("stop", ["deactivated", "rejected"])
def test_what_was_stopped_while_it_waited_does_not_become_active(careful, stop_loss, alice, bob, stop):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice)
    if stop == "deactivated":
        deactivate_rule(rule_id=made.id, actor=alice)
        approve_rule_version(rule_id=made.id, version=1, actor=bob)
    else:
        reject_rule_version(rule_id=made.id, version=1, actor=bob)
        with pytest.raises(Conflict, match="approval of a second person"):
            activate_rule(rule_id=made.id, actor=alice)
        update_rule(rule_id=made.id, rule=stop_loss, actor=alice)
        approve_rule_version(rule_id=made.id, version=2, actor=bob)
    assert len(in_force(careful)) == 1


def test_stopping_needs_nobody(changed, careful, alice, bob):
    archive_rule(rule_id=changed.id, actor=alice)
    assert in_force(careful) == []
    with pytest.raises(Conflict, match="archived"):
        approve_rule_version(rule_id=changed.id, version=2, actor=bob)


def test_a_waiting_rule_may_be_archived(careful, stop_loss, alice):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice)
    archive_rule(rule_id=made.id, actor=alice)
    assert TradingRule.objects.get(pk=made.pk).activate_when_approved is False


# --- the database -------------------------------------------------------------------------------------


def refused(reason):
    return pytest.raises(IntegrityError, match=reason)


def run(statement, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_no_rule_is_pointed_to_a_version_without_approval(changed, careful, bob):
    with refused("has not the approval"):
        run("UPDATE trading_rules SET version = 2 WHERE id = %s", changed.id)
    reject_rule_version(rule_id=changed.id, version=2, actor=bob)
    with refused("has not the approval"):
        run("UPDATE trading_rules SET version = 2 WHERE id = %s", changed.id)
    assert in_force(careful) == [(NAME, 1, 0)]


def test_no_rule_is_switched_on_without_approval(careful, stop_loss, alice):
    made = create_rule(portfolio_id=careful.id, rule=stop_loss, actor=alice)
    with refused("has not the approval"):
        run(
            "UPDATE trading_rules SET is_active = true, activate_when_approved = false WHERE id = %s", made.id
        )


def test_no_rule_is_switched_on_that_nobody_ever_approved(careful, old, entry, alice):
    deactivate_rule(rule_id=old.id, actor=alice)
    with refused("approved by nobody"):
        run("UPDATE trading_rules SET is_active = true WHERE id = %s", old.id)
    with refused("approved by nobody"), transaction.atomic():
        TradingRule.objects.create(portfolio=careful, is_active=True, created_by=alice, **old.content())
    assert in_force(careful) == []


def test_no_active_rule_is_pointed_back_to_what_nobody_approved(portfolio, old, entry, alice):
    update_rule(rule_id=old.id, rule=entry | {"priority": 2}, actor=alice)
    set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)
    with refused("approved by nobody"):
        run("UPDATE trading_rules SET version = 1 WHERE id = %s", old.id)
    run("UPDATE trading_rules SET updated_at = now(), is_active = true WHERE id = %s", old.id)
    assert in_force(portfolio) == [(NAME, 2, 2)]


def test_no_active_rule_gets_its_version_afterwards(portfolio, old, alice):
    """The other order: the rule points first to a version that is not there yet."""
    run("UPDATE trading_rules SET version = 7 WHERE id = %s", old.id)
    careful = set_four_eyes(portfolio_id=portfolio.id, enabled=True, actor=alice)
    content = old.content()
    for needs_approval, reason in ((True, "is in force"), (False, "needs the approval")):
        with refused(reason), transaction.atomic():
            RuleVersion.objects.create(
                rule=old, version=7, created_by=alice, needs_approval=needs_approval, **content
            )
    assert in_force(careful) == []


def test_what_the_rule_itself_says_is_not_what_is_evaluated(careful, old):
    run("UPDATE trading_rules SET priority = 99 WHERE id = %s", old.id)
    assert in_force(careful) == [(NAME, 1, 0)]


def test_no_rule_is_carried_into_a_portfolio_that_needs_four_eyes(careful, entry, alice):
    plain = create_portfolio(name="Plain", owner=alice)
    rule = create_rule(portfolio_id=plain.id, rule=entry, actor=alice)
    with refused("never changes its portfolio"):
        run("UPDATE trading_rules SET portfolio_id = %s WHERE id = %s", careful.id, rule.id)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            "approved = true, decided_by_id = created_by_id, decided_at = now()",
            "rule_version_approved_by_another",
        ),
        ("approved = true", "rule_version_decided_by_somebody"),
        ("needs_approval = false", "immutable"),
        ("priority = 99, approved = true, decided_by_id = {bob}, decided_at = now()", "immutable"),
        (
            "created_by_id = {bob}, approved = true, decided_by_id = created_by_id, decided_at = now()",
            "immutable",
        ),
    ],
)
def test_a_waiting_version_is_decided_and_nothing_else(changed, bob, columns, reason):
    with refused(reason):
        run(f"UPDATE rule_versions SET {columns.format(bob=bob.pk)} WHERE version = 2")


def test_a_decision_is_final(changed, bob):
    approve_rule_version(rule_id=changed.id, version=2, actor=bob)
    with refused("immutable"):
        run("UPDATE rule_versions SET approved = false WHERE version = 2")
    with refused("immutable"):
        run("DELETE FROM rule_versions WHERE version = 2")


def test_an_inactive_rule_that_was_pointed_to_what_waits_is_not_activated(changed, careful, alice):
    deactivate_rule(rule_id=changed.id, actor=alice)
    run("UPDATE trading_rules SET version = 2 WHERE id = %s", changed.id)
    with pytest.raises(Conflict, match="approval of a second person"):
        activate_rule(rule_id=changed.id, actor=alice)
    with refused("has not the approval"):
        run("UPDATE trading_rules SET is_active = true WHERE id = %s", changed.id)
    assert in_force(careful) == []


def test_all_stays_as_it_was_without_four_eyes(portfolio, entry, alice):
    rule = create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)
    assert not Portfolio.objects.get(pk=portfolio.pk).four_eyes
    assert update_rule(rule_id=rule.id, rule=entry | {"priority": 1}, actor=alice).version == 2
    assert in_force(portfolio) == [(NAME, 2, 1)]
