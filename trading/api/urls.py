from django.urls import path

from trading.api import (
    breaks,
    connections,
    executions,
    fleet,
    halts,
    orders,
    performance,
    preview,
    protections,
    replay,
    reversals,
    risk,
    views,
)

urlpatterns = [
    path("auto-trading/rules/<uuid:id>/preview", preview.PreviewRule.as_view(), name="rule-preview"),
    path("auto-trading/sessions/<uuid:id>/status", views.SessionStatus.as_view(), name="session-status"),
    path(
        "auto-trading/sessions/<uuid:id>/performance",
        performance.SessionPerformance.as_view(),
        name="session-performance",
    ),
    path(
        "auto-trading/sessions/<uuid:id>/equity", performance.SessionEquity.as_view(), name="session-equity"
    ),
    path("auto-trading/trades", orders.PlaceTrade.as_view(), name="trade-place"),
    path("auto-trading/trades/validate", orders.ValidateTrade.as_view(), name="trade-validate"),
    path("auto-trading/trades/<uuid:portfolio_id>", views.Trades.as_view(), name="trades"),
    path("auto-trading/trades/<uuid:id>/details", views.TradeDetails.as_view(), name="trade-details"),
    path("auto-trading/trades/<uuid:id>/cancel", views.CancelTrade.as_view(), name="trade-cancel"),
    path("auto-trading/trades/<uuid:id>/settle", views.SettleTrade.as_view(), name="trade-settle"),
    path("auto-trading/decisions/<uuid:portfolio_id>", views.Decisions.as_view(), name="decisions"),
    path(
        "auto-trading/decisions/<uuid:portfolio_id>/replay", replay.Replay.as_view(), name="decision-replay"
    ),
    path(
        "auto-trading/decisions/<uuid:id>/details", views.DecisionDetails.as_view(), name="decision-details"
    ),
    path(
        "portfolios/<uuid:portfolio_id>/executions",
        executions.Executions.as_view(),
        name="portfolio-executions",
    ),
    path("portfolios/<uuid:portfolio_id>/broker", connections.Connection.as_view(), name="broker-connection"),
    path(
        "portfolios/<uuid:portfolio_id>/broker/connect",
        connections.Connect.as_view(),
        name="broker-connect",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/broker/disconnect",
        connections.Disconnect.as_view(),
        name="broker-disconnect",
    ),
    path("portfolios/<uuid:portfolio_id>/risk", risk.Risk.as_view(), name="portfolio-risk"),
    path(
        "portfolios/<uuid:portfolio_id>/protections",
        protections.Protections.as_view(),
        name="portfolio-protections",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/protections/<str:symbol>",
        protections.OneProtection.as_view(),
        name="portfolio-protection",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/ledger/<uuid:entry_id>/reversal",
        reversals.LedgerReversal.as_view(),
        name="ledger-reversal",
    ),
    path("portfolios/<uuid:portfolio_id>/breaks", breaks.Breaks.as_view(), name="portfolio-breaks"),
    path(
        "portfolios/<uuid:portfolio_id>/breaks/<uuid:break_id>/explain",
        breaks.ExplainBreak.as_view(),
        name="portfolio-break-explain",
    ),
    path(
        "portfolios/<uuid:portfolio_id>/reconciliations",
        breaks.Reconciliations.as_view(),
        name="portfolio-reconciliations",
    ),
    path("portfolios/<uuid:portfolio_id>/reconcile", breaks.Reconcile.as_view(), name="portfolio-reconcile"),
    path("emergency-stop", halts.EmergencyStops.as_view(), name="emergency-stops"),
    path(
        "emergency-stop/<uuid:id>/release",
        halts.ReleaseEmergencyStop.as_view(),
        name="emergency-stop-release",
    ),
    path("platform/code-version", fleet.CodeVersion.as_view(), name="code-version"),
]
