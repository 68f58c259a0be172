"""The rule form. What it may say is judged by the language's own validation, fault by fault."""

import json
from pathlib import Path
from typing import Any

from django import forms

from foundation.admin.base import ServiceForm
from foundation.admin.json_field import JSONTextField
from rules.models import TradingRule
from rules.services.rule_engine import validate_rule

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "ai_strong_buy_entry.json"
CONTENT = ("name", "rule_type", "priority", "conditions", "actions")


def example() -> dict[str, Any]:
    """A whole rule that is valid, to start from."""
    rule: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    return {"rule_type": rule["type"], "conditions": rule["conditions"], "actions": rule["actions"]}


class RuleForm(ServiceForm):
    paths = {"type": "rule_type"}

    conditions = JSONTextField(rows=16, help_text="All of these must be true. The fields are listed below.")
    actions = JSONTextField(rows=8, help_text="What the rule asks for when it is true.")
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = TradingRule
        fields = ("portfolio", "name", "rule_type", "priority", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["expected_version"] = self.instance.version

    def rule(self) -> dict[str, Any]:
        """The rule as JSON, whole: what the form does not show stays as it is stored."""
        kept = {
            name: getattr(self.instance, name)
            for name in ("schedule", "cooldown")
            if getattr(self.instance, name) is not None
        }
        return {**{name: self.cleaned_data[name] for name in CONTENT}, **kept}

    def clean(self) -> dict[str, Any]:
        """Show every fault at once, at its field: the service would refuse the same."""
        cleaned = super().clean()
        if self.refusal is None and all(name in cleaned for name in CONTENT):
            result = validate_rule(self.rule())
            self.show_faults(result.error_dicts())
        return cleaned
