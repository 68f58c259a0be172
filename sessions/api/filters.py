from django_filters import rest_framework as filters

from sessions.models import TradingSession


class SessionFilters(filters.FilterSet):
    status = filters.MultipleChoiceFilter(
        choices=TradingSession.Status.choices, label="may be given several times"
    )
