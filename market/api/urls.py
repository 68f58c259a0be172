from django.urls import path

from market.api import views

urlpatterns = [
    path("market/instruments", views.Instruments.as_view(), name="instruments"),
    path("market/quotes", views.Quotes.as_view(), name="quotes"),
    path("market/bars", views.Bars.as_view(), name="bars"),
    path("market/snapshot", views.CurrentSnapshot.as_view(), name="snapshot"),
    path("recommendations", views.Recommendations.as_view(), name="recommendations"),
    path("recommendation-sources", views.RecommendationSources.as_view(), name="recommendation-sources"),
]
