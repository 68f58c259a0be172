"""The admin's sidebar: the house's rooms from top to bottom, without what a user may not see."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

# Group -> (title, icon, app label, model name).
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("Trading", (
        ("Sessions", "play_circle", "trading_sessions", "tradingsession"),
        ("Session plans", "event_repeat", "trading_sessions", "sessionplan"),
        ("Performance", "monitoring", "trading", "sessionperformance"),
        ("Rules", "rule", "rules", "tradingrule"),
        ("Trades", "swap_horiz", "trading", "autotrade"),
        ("Decisions", "psychology", "trading", "decision"),
        ("Protections", "shield", "trading", "protection"),
        ("Rests", "bedtime", "trading", "ruleact"),
        ("Emergency stops", "emergency_home", "trading", "halt"),
        ("Limits", "tune", "portfolios", "limitset"),
        ("Permissions", "checklist", "portfolios", "instrumentpermission"),
    )),
    ("Books", (
        ("Portfolios", "account_balance_wallet", "portfolios", "portfolio"),
        ("Positions", "pie_chart", "portfolios", "position"),
        ("Ledger", "menu_book", "portfolios", "ledgertransfer"),
        ("Fills", "done_all", "trading", "execution"),
        ("Dividends and splits", "call_split", "portfolios", "corporateactionbooking"),
        ("Breaks with brokers", "rule_settings", "trading", "reconciliationbreak"),
        ("Reconciliations", "compare_arrows", "trading", "reconciliation"),
        ("Reservations", "lock_clock", "portfolios", "reservation"),
        ("Equity", "show_chart", "portfolios", "equitypoint"),
        ("Broker accounts", "account_balance", "portfolios", "brokeraccount"),
    )),
    ("Journal", (
        ("Events", "history", "journal", "entry"),
        ("Alerts", "notifications", "journal", "alert"),
        ("Deliveries", "outgoing_mail", "journal", "alertdelivery"),
        ("Rule versions", "difference", "rules", "ruleversion"),
        ("Evaluations", "speed", "trading_sessions", "evaluationrun"),
    )),
    ("Market", (
        ("Recommendations", "recommend", "market", "recommendation"),
        ("Sources", "hub", "market", "recommendationsource"),
        ("Outcomes", "fact_check", "market", "recommendationoutcome"),
        ("Trained models", "model_training", "market", "recommendermodel"),
        ("Quotes", "request_quote", "market", "quote"),
        ("Bars", "candlestick_chart", "market", "bar"),
        ("Snapshots", "photo_camera", "market", "snapshot"),
        ("Quarantine", "report", "market", "quarantinedquote"),
        ("Quarantine totals", "functions", "market", "quarantinetotal"),
        ("Gaps", "event_busy", "market", "marketgap"),
        ("Corporate actions", "domain", "market", "corporateaction"),
        ("Instruments", "category", "market", "instrument"),
        ("Calendar", "calendar_month", "market", "calendarday"),
    )),
    ("System", (
        ("Processes", "monitor_heart", "foundation", "heartbeat"),
        ("Leases", "key", "foundation", "lease"),
        ("Schedule", "schedule", "django_celery_beat", "periodictask"),
        ("Users", "person", "auth", "user"),
        ("Groups", "group", "auth", "group"),
        ("API tokens", "vpn_key", "knox", "authtoken"),
        ("Service accounts", "smart_toy", "foundation", "serviceaccount"),
        ("Failed logins", "lock", "axes", "accessattempt"),
    )),
)  # fmt: skip


def _may_see(request: HttpRequest, app: str, model: str) -> bool:
    return any(request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's navigation for this user; a group of which he may see nothing is left out."""
    groups = []
    for title, pages in GROUPS:
        items = [
            {"title": text, "icon": icon, "link": reverse(f"admin:{app}_{model}_changelist")}
            for text, icon, app, model in pages
            if _may_see(request, app, model)
        ]
        if items:
            groups.append(
                {"title": title, "separator": True, "collapsible": title == "System", "items": items}
            )
    return groups


def icon(request: HttpRequest) -> str:
    """The admin wears the console's icon."""
    return static("console/icon.svg")
