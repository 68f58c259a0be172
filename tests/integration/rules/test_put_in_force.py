"""A rule may say what this version does not carry out; it is kept, but not put in force.

At present that is nothing: the word is planted.
"""

import json

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from knox.models import get_token_model

from foundation.errors import InvalidInput
from rules.models import TradingRule
from rules.selectors import active_rule_versions
from rules.services.rules import activate_rule, create_rule, deactivate_rule, update_rule

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db,
    pytest.mark.usefixtures("without_limit_orders"),
]
FAULT = {
    "path": "actions[0].order_type",
    "message": "Limit orders are not carried out in this version.",
    "suggestion": 'Use "market", or store the rule inactive.',
}


@pytest.fixture
def limited(entry):
    entry["actions"][0] |= {"order_type": "limit", "limit_offset_bps": 25}
    return entry


@pytest.fixture
def kept(limited, portfolio, alice):
    """Stored inactive."""
    return create_rule(portfolio_id=portfolio.id, rule=limited, actor=alice, is_active=False)


def test_it_is_stored_inactive_with_its_version(kept, portfolio, limited):
    assert kept.actions == limited["actions"]
    assert kept.versions.get().content() == kept.content()
    assert active_rule_versions([portfolio.id]) == []


def test_it_is_not_created_active(limited, portfolio, alice):
    with pytest.raises(InvalidInput, match="cannot be in force: Limit orders") as refusal:
        create_rule(portfolio_id=portfolio.id, rule=limited, actor=alice)
    assert refusal.value.errors == [FAULT]
    assert not TradingRule.objects.exists()


def test_it_is_not_activated(kept, alice):
    with pytest.raises(InvalidInput) as refusal:
        activate_rule(rule_id=kept.id, actor=alice)
    assert refusal.value.errors == [FAULT]
    kept.refresh_from_db()
    assert not kept.is_active


def test_an_active_rule_is_not_changed_into_it(portfolio, stop_loss, limited, alice):
    rule = create_rule(portfolio_id=portfolio.id, rule=stop_loss, actor=alice)
    with pytest.raises(InvalidInput) as refusal:
        update_rule(rule_id=rule.id, rule=limited, actor=alice)
    assert refusal.value.errors == [FAULT]
    rule.refresh_from_db()
    assert (rule.version, rule.name) == (1, stop_loss["name"])
    deactivate_rule(rule_id=rule.id, actor=alice)
    assert update_rule(rule_id=rule.id, rule=limited, actor=alice).version == 2


def test_it_can_be_mended_and_activated(kept, limited, alice):
    limited["actions"][0]["order_type"] = "market"
    del limited["actions"][0]["limit_offset_bps"]
    update_rule(rule_id=kept.id, rule=limited, actor=alice)
    assert activate_rule(rule_id=kept.id, actor=alice).is_active


def test_the_room_that_acts_decides_what_it_carries_out(limited, portfolio, alice, settings):
    settings.RULE_SUPPORT = "tests.integration.rules.test_put_in_force.everything"
    assert create_rule(portfolio_id=portfolio.id, rule=limited, actor=alice).is_active


def everything(actions):
    return []


def test_the_api_tells_path_and_cure(client, limited, portfolio, alice):
    _, token = get_token_model().objects.create(user=alice)
    body = limited | {"portfolio_id": str(portfolio.id)}
    headers = {"authorization": f"Token {token}"}
    answer = client.post("/api/auto-trading/rules", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer["content-type"]) == (400, "application/problem+json")
    assert answer.json()["errors"] == [FAULT]
    body["is_active"] = False
    answer = client.post("/api/auto-trading/rules", body, content_type="application/json", headers=headers)
    assert answer.status_code == 201, answer.content


def test_the_admin_shows_it_at_the_actions(client, limited, portfolio):
    client.force_login(get_user_model().objects.create_superuser("dora"))
    form = {
        "portfolio": portfolio.pk, "name": limited["name"], "rule_type": limited["type"], "priority": "0",
        "conditions": json.dumps(limited["conditions"]), "actions": json.dumps(limited["actions"]),
    }  # fmt: skip
    page = client.post(reverse("admin:rules_tradingrule_add"), form | {"is_active": "on"})
    assert page.status_code == 200
    assert page.context["adminform"].form.errors == {
        "actions": [f"{FAULT['path']}: {FAULT['message']} {FAULT['suggestion']}"]
    }
    assert not TradingRule.objects.exists()
    assert client.post(reverse("admin:rules_tradingrule_add"), form).status_code == 302
    assert not TradingRule.objects.get().is_active


def test_the_admin_says_why_it_is_not_activated(client, kept):
    client.force_login(get_user_model().objects.create_superuser("dora"))
    answer = client.post(
        reverse("admin:rules_tradingrule_changelist"),
        {"action": "activate_selected", "_selected_action": [kept.pk]},
        follow=True,
    )
    assert FAULT["message"] in answer.content.decode()
    kept.refresh_from_db()
    assert not kept.is_active
