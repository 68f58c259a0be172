"""Which rules rest, and until when."""

from datetime import timedelta

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from foundation.admin.base import LongListAdmin
from foundation.admin.presentation import EMPTY, shown_moment
from trading.models import RuleAct


@admin.register(RuleAct)
class RuleActAdmin(LongListAdmin):
    list_display = ("rule", "instrument", "acted_at", "until")
    list_select_related = ("rule", "instrument")
    list_filter = (("rule", AutocompleteSelectFilter), ("instrument", AutocompleteSelectFilter))
    ordering = ("-acted_at",)
    fields = ("rule", "instrument", "acted_at", "until")

    @display(description="until")
    def until(self, act: RuleAct) -> SafeString | str:
        """By the rule's present cooldown; a rule that has none any more does not rest."""
        cooldown = act.rule.cooldown
        return shown_moment(act.acted_at + timedelta(minutes=cooldown["minutes"])) if cooldown else EMPTY
