from django_filters import rest_framework as filters

from foundation.api.filters import FlagFilter
from rules.models import RuleType


class RuleFilters(filters.FilterSet):
    active = FlagFilter(field_name="is_active")
    rule_type = filters.ChoiceFilter(choices=RuleType.choices)
    name = filters.CharFilter(lookup_expr="icontains", label="part of the name")
