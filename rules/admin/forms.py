"""The rule form. What it may say is judged by the language's own validation, fault by fault."""

import json
from pathlib import Path
from typing import Any

from django import forms

from foundation.admin.base import ServiceForm
from foundation.admin.json_field import JSONTextField
from rules.core.actions import TYPES_OF
from rules.models import TradingRule
from rules.selectors import latest_version
from rules.services.rule_engine import validate_rule

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "ai_strong_buy_entry.json"
CONTENT = ("name", "rule_type", "priority", "conditions", "actions", "schedule", "cooldown")
_ACTIONS = "; ".join(f"{rule_type}: {', '.join(kinds)}" for rule_type, kinds in TYPES_OF.items())


def example() -> dict[str, Any]:
    """A whole rule that is valid, to start from."""
    rule: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    return {"rule_type": rule["type"], "conditions": rule["conditions"], "actions": rule["actions"]}


class RuleForm(ServiceForm):
    paths = {"type": "rule_type"}

    conditions = JSONTextField(rows=16, help_text="All of these must be true. The fields are listed below.")
    actions = JSONTextField(rows=8, help_text=f"What the rule asks for. {_ACTIONS}.")
    schedule = JSONTextField(
        rows=9,
        required=False,
        help_text='When the rule may fire; empty: always. For example {"weekdays": ["MONDAY"], "from": "09:45", '
        '"to": "15:30", "minutes_after_open": 15, "minutes_before_close": 30}: any of these keys, in market time.',
    )
    cooldown = JSONTextField(
        rows=4,
        required=False,
        help_text='How long the rule rests after it acted; empty: not at all. For example {"minutes": 60, '
        '"per": "symbol"}; "per": "rule" rests for all symbols at once.',
    )
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = TradingRule
        fields = ("portfolio", "name", "rule_type", "priority", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            latest = latest_version(self.instance.pk) or self.instance
            self.initial.update({**latest.content(), "expected_version": latest.version})

    def rule(self) -> dict[str, Any]:
        """The rule as JSON, whole."""
        return {name: self.cleaned_data[name] for name in CONTENT}

    def clean(self) -> dict[str, Any]:
        """Show every fault at once, at its field: the service would refuse the same."""
        cleaned = super().clean()
        if self.refusal is None and all(name in cleaned for name in CONTENT):
            result = validate_rule(self.rule())
            self.show_faults(result.error_dicts())
        return cleaned
