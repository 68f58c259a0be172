from django.urls import path

from portfolios.api import (
    corporate_actions,
    limit_history,
    limits,
    members,
    paper_market,
    permissions,
    scoped_limits,
    views,
)

urlpatterns = [
    path("corporate-actions", corporate_actions.CorporateActions.as_view(), name="corporate-actions"),
    path(
        "corporate-actions/<uuid:action_id>/withdraw",
        corporate_actions.WithdrawCorporateAction.as_view(),
        name="corporate-action-withdraw",
    ),
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
    path("portfolios/<uuid:portfolio_id>/members", members.Members.as_view(), name="portfolio-members"),
    path(
        "portfolios/<uuid:portfolio_id>/members/<str:username>",
        members.OneMember.as_view(),
        name="portfolio-member",
    ),
    path("portfolios/<uuid:portfolio_id>/four-eyes", limits.FourEyes.as_view(), name="portfolio-four-eyes"),
    path(
        "portfolios/<uuid:portfolio_id>/limits/history",
        limit_history.LimitHistory.as_view(),
        name="portfolio-limits-history",
    ),
    path("portfolios/<uuid:portfolio_id>/limits", limits.Limits.as_view(), name="portfolio-limits"),
    path(
        "portfolios/<uuid:portfolio_id>/limits/<int:version>/approve",
        limits.ApproveLimits.as_view(),
        name="portfolio-limits-approve",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/limits/<int:version>/reject",
        limits.RejectLimits.as_view(),
        name="portfolio-limits-reject",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/account-limits",
        scoped_limits.AccountLimits.as_view(),
        name="portfolio-account-limits",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/paper-market",
        paper_market.PaperMarket.as_view(),
        name="portfolio-paper-market",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/permissions",
        permissions.PortfolioPermissions.as_view(),
        name="portfolio-permissions",
    ),
    path("limits", scoped_limits.LimitCatalogue.as_view(), name="limit-catalogue"),
    path("limits/<uuid:limit_set_id>/approve", limits.ApproveLimitSet.as_view(), name="limit-set-approve"),
    path("limits/<uuid:limit_set_id>/reject", limits.RejectLimitSet.as_view(), name="limit-set-reject"),
    path(
        "permissions/<uuid:proposal_id>/approve",
        permissions.ApprovePermissions.as_view(),
        name="permissions-approve",
    ),
    path(
        "permissions/<uuid:proposal_id>/reject",
        permissions.RejectPermissions.as_view(),
        name="permissions-reject",
    ),
    path("platform/limits", scoped_limits.PlatformLimits.as_view(), name="platform-limits"),
    path("platform/permissions", permissions.PlatformPermissions.as_view(), name="platform-permissions"),
    # a symbol may contain a slash
    path(
        "instruments/<path:symbol>/limits", scoped_limits.InstrumentLimits.as_view(), name="instrument-limits"
    ),
]
