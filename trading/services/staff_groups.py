"""Groups of Django's permissions for the admin, by what staff do there.

A permission opens a page. What they do on it they need a role in the portfolio for, as over REST
(`portfolios/core/access.py`), so a group gives nobody a power over a portfolio.
"""

from django.contrib.auth.models import Group, Permission

_SEEN = (
    "portfolios.view_portfolio", "portfolios.view_position", "market.view_instrument", "market.view_recommendation",
    "rules.view_tradingrule", "rules.view_ruleversion", "trading.view_decision", "trading.view_autotrade",
    "trading_sessions.view_tradingsession", "trading.view_sessionperformance",
)  # fmt: skip
GROUPS: dict[str, tuple[str, ...]] = {
    "Rule writers": (
        *_SEEN, "rules.add_tradingrule", "rules.change_tradingrule", "rules.delete_tradingrule",
    ),
    "Session runners": (
        *_SEEN, "trading_sessions.add_tradingsession", "trading_sessions.change_tradingsession",
        "trading_sessions.view_sessionplan", "trading_sessions.add_sessionplan", "trading_sessions.change_sessionplan",
        "trading.change_autotrade", "trading.view_halt", "trading.add_halt", "trading.change_halt",
    ),
}  # fmt: skip
"""By name; deleting a rule archives it. Changing a trade is to cancel it, changing a halt to release it."""


def ensure_groups() -> None:
    """Idempotent: a group that is there keeps what an administrator made of it."""
    permissions = {
        f"{row.content_type.app_label}.{row.codename}": row
        for row in Permission.objects.select_related("content_type")
    }
    for name, wanted in GROUPS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set([permissions[one] for one in wanted])
