from django.urls import path

from market.api import history, intake, pulls, sources, views

urlpatterns = [
    path("market/instruments", history.Instruments.as_view(), name="instruments"),
    path("market/instruments/<path:symbol>/tags", views.InstrumentTags.as_view(), name="instrument-tags"),
    path("market/calendar", views.Calendar.as_view(), name="calendar"),
    path("market/quotes", views.Quotes.as_view(), name="quotes"),
    path("market/bars", history.Bars.as_view(), name="bars"),
    path("market/snapshot", views.CurrentSnapshot.as_view(), name="snapshot"),
    path("market/quarantine", intake.Quarantine.as_view(), name="quarantine"),
    path("market/quarantine/totals", intake.QuarantineTotals.as_view(), name="quarantine-totals"),
    path("market/gaps", intake.Gaps.as_view(), name="gaps"),
    path("recommendations", views.Recommendations.as_view(), name="recommendations"),
    path("recommendation-sources", sources.RecommendationSources.as_view(), name="recommendation-sources"),
    path(
        "recommendation-sources/<str:name>",
        sources.OneRecommendationSource.as_view(),
        name="recommendation-source",
    ),
    path(
        "recommendation-sources/<str:name>/calibration",
        sources.SourceCalibration.as_view(),
        name="recommendation-source-calibration",
    ),
    path(
        "recommendation-sources/<str:name>/pull",
        pulls.SourcePull.as_view(),
        name="recommendation-source-pull",
    ),
]
