from django_filters import rest_framework as filters

from rules.models import RuleType


class RuleFilters(filters.FilterSet):
    active = filters.BooleanFilter(field_name="is_active")
    rule_type = filters.ChoiceFilter(choices=RuleType.choices)
    name = filters.CharFilter(lookup_expr="icontains", label="part of the name")
