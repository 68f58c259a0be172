from django.urls import path

from portfolios.api import corporate_actions, views

urlpatterns = [
    path("corporate-actions", corporate_actions.CorporateActions.as_view(), name="corporate-actions"),
    path("me", views.Me.as_view(), name="me"),
    path("portfolios", views.Portfolios.as_view(), name="portfolios"),
    path("portfolios/<uuid:portfolio_id>", views.OnePortfolio.as_view(), name="portfolio"),
    path("portfolios/<uuid:portfolio_id>/deposits", views.Deposits.as_view(), name="portfolio-deposits"),
    path(
        "portfolios/<uuid:portfolio_id>/withdrawals",
        views.Withdrawals.as_view(),
        name="portfolio-withdrawals",
    ),
    path("portfolios/<uuid:portfolio_id>/positions", views.Positions.as_view(), name="portfolio-positions"),
    path("portfolios/<uuid:portfolio_id>/ledger", views.Ledger.as_view(), name="portfolio-ledger"),
    path("portfolios/<uuid:portfolio_id>/limits", views.Limits.as_view(), name="portfolio-limits"),
]
