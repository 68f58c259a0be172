"""A session once more, as the page that shows how it does: who may see that is a permission of its own."""

from sessions.models import TradingSession


class SessionPerformance(TradingSession):
    """Nothing is stored of it: `services.performance` tells it."""

    class Meta:
        proxy = True
        verbose_name = "session's performance"
        verbose_name_plural = "performance of sessions"
