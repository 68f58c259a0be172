"""What staff do in the admin day by day can be done over the API: each button, form and deletion by its operation."""

import json

import pytest
from django.contrib import admin
from django.test import RequestFactory

from autotrading_project.environment_files import BASE_DIR

pytestmark = pytest.mark.integration
admin.autodiscover()

OPERATIONS = {
    # adding
    "market.CorporateAction add": "recordCorporateAction",
    "portfolios.InstrumentPermission add": "setPermissions setPlatformPermissions",
    "portfolios.LimitSet add": "setLimits setAccountLimits setInstrumentLimits setPlatformLimits setSessionLimits",
    "portfolios.Portfolio add": "createPortfolio",
    "rules.TradingRule add": "createTradingRule",
    "trading.AutoTrade add": "placeTrade",
    "trading.Halt add": "armEmergencyStop",
    "trading_sessions.SessionPlan add": "createSessionPlan",
    "trading_sessions.TradingSession add": "startTradingSession",
    # changing
    "portfolios.BrokerAccount change": "setPaperMarket",
    "portfolios.Portfolio change": "setMember removeMember",
    "rules.TradingRule change": "updateTradingRule",
    "trading.Protection change": "setProtection",
    "trading_sessions.SessionPlan change": "updateSessionPlan",
    # deleting
    "axes.AccessAttempt delete": "getFailedLogins forgetFailedLogins",
    "knox.AuthToken delete": "getTokens revokeToken getServiceTokens revokeServiceToken",
    "rules.TradingRule delete": "deleteTradingRule",
    # what has a button
    "journal.Alert acknowledge": "acknowledgeAlert",
    "market.Instrument tag": "setInstrumentTags",
    "portfolios.BrokerAccount connect_broker": "connectBroker",
    "portfolios.BrokerAccount disconnect_broker": "disconnectBroker",
    "portfolios.InstrumentPermission edit_lists": "getPermissions setPermissions",
    "portfolios.InstrumentPermissionProposal approve": "approvePermissions",
    "portfolios.InstrumentPermissionProposal reject": "rejectPermissions",
    "portfolios.LimitSet approve": "approveLimits approveLimitSet",
    "portfolios.LimitSet new_version": "getLimits setLimits",
    "portfolios.LimitSet reject": "rejectLimits rejectLimitSet",
    "portfolios.Portfolio ask_for_four_eyes": "setFourEyes",
    "portfolios.Portfolio deposit_cash": "depositCash",
    "portfolios.Portfolio end_four_eyes": "setFourEyes",
    "portfolios.Portfolio set_limits": "setLimits",
    "portfolios.Portfolio why": "replayDecision",
    "portfolios.Portfolio withdraw_cash": "withdrawCash",
    "rules.RuleVersion approve": "approveRuleVersion",
    "rules.RuleVersion reject": "rejectRuleVersion",
    "rules.TradingRule activate": "activateRule",
    "rules.TradingRule archive": "deleteTradingRule",
    "rules.TradingRule deactivate": "deactivateRule",
    "rules.TradingRule preview": "previewRule",
    "rules.TradingRule why": "replayDecision",
    "trading.AutoTrade cancel": "cancelTrade",
    "trading.AutoTrade settle": "settleTrade",
    "trading.Halt let_go": "releaseEmergencyStop",
    "trading.Halt release": "releaseEmergencyStop",
    "trading.Halt stop_everything": "armEmergencyStop",
    "trading.Protection remove": "removeProtection",
    "trading.ReconciliationBreak explain": "explainBreak",
    "trading_sessions.SessionPlan disable": "disableSessionPlan",
    "trading_sessions.SessionPlan enable": "enableSessionPlan",
    "trading_sessions.TradingSession pause": "pauseTradingSession",
    "trading_sessions.TradingSession resume": "resumeTradingSession",
    "trading_sessions.TradingSession stop": "stopTradingSession",
    "trading_sessions.TradingSession tighten": "setSessionLimits",
    "trading_sessions.TradingSession why": "replayDecision",
}
# No daily use: people, groups and the timetable of the platform's own work. Who is staff, and what they may open, is
# decided by superusers on these pages, and by no program.
ONLY_HERE = ("auth.User", "auth.Group", "django_celery_beat.")


def deeds(superuser: object) -> set[str]:
    """Of every page: what may be added, changed and deleted, and its buttons; one for a row or for many is the same."""
    request = RequestFactory().get("/admin/")
    request.user = superuser  # type: ignore[attr-defined]
    found = set()
    for model, page in admin.site._registry.items():
        named = {"add": page.has_add_permission, "change": page.has_change_permission,
                 "delete": page.has_delete_permission}  # fmt: skip
        does = {name for name, may in named.items() if may(request)}
        buttons = (*page.actions, *page.actions_detail, *page.actions_list, *page.actions_row)
        does |= {str(name).removesuffix("_selected") for name in buttons}
        found |= {f"{model._meta.label} {name}" for name in does}
    return {deed for deed in found if not deed.startswith(ONLY_HERE)}


def test_everything_that_is_done_here_has_an_operation(dora: object) -> None:
    assert deeds(dora) == OPERATIONS.keys()


def test_the_operations_are_there() -> None:
    document = json.loads((BASE_DIR / "docs" / "openapi.json").read_text(encoding="utf-8"))
    served = {
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    }
    assert {name for names in OPERATIONS.values() for name in names.split()} <= served
