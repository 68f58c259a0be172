from rest_framework import serializers

from foundation.api.base import StrictSerializer
from foundation.api.preconditions import etag
from sessions.models import TradingSession

CONFIG_HELP = (
    "All keys may be left out. `universe` {symbols?, exchanges?, tags?}: it may trade what any of the lists names, as "
    "exchanges and tags stand at each evaluation; left out: everything. `recommendation_sources` [names]: in order of "
    "preference; left out: the newest of all. `limits` {name: number}: may only tighten. `capital_cap` {percentage} or "
    "{amount}: the most that it may have invested, in percent of equity or in the base currency. `trading_window` "
    "{weekdays?, from?, to?, minutes_after_open?, minutes_before_close?, blackout_dates?}: outside of it, on the "
    'exchange\'s clock, no entry is made. `evaluation` "tick" (left out: this) or {every_seconds: 5 to 86400}: how '
    "often its rules are looked at. `mode` paper (left out: this) or live: what the portfolio's account must be, else "
    "409 `mode_mismatch`. `ends_at`: when it stops by itself, with a zone, in market time. `on_stop` keep (left out: "
    "this) or flatten: what stopping does with open positions"
)


def session_tag(row: TradingSession) -> str:
    """Of what can be changed about a session, its status and what stopping does: neither its trades nor its profit."""
    return etag("session", row.pk, row.status, row.keeps_at_stop)


class SessionSerializer(serializers.ModelSerializer[TradingSession]):
    """`is_active` is true while entries are possible; `total_pnl` is realised, after fees.

    `start_time` and `end_time` say when it started and stopped, in database time; `ends_at` when it is to stop by
    itself, in market time.
    """

    is_active = serializers.BooleanField(read_only=True)
    config = serializers.DictField()
    started_by = serializers.CharField(
        source="started_by.username", default=None, allow_null=True, read_only=True
    )

    etag = serializers.SerializerMethodField(help_text="for `If-Match` with a change")

    class Meta:
        model = TradingSession
        fields = (
            "id",
            "portfolio_id",
            "session_name",
            "status",
            "is_active",
            "start_time",
            "end_time",
            "ends_at",
            "total_trades",
            "successful_trades",
            "total_pnl",
            "config",
            "started_by",
            "stop_reason",
            "keeps_at_stop",
            "plan_id",
            "created_at",
            "etag",
        )
        read_only_fields = fields

    def get_etag(self, row: TradingSession) -> str:
        return session_tag(row)


class StartSessionSerializer(StrictSerializer):
    portfolio_id = serializers.UUIDField()
    session_name = serializers.CharField(max_length=255, default="", allow_blank=True)
    config = serializers.JSONField(
        default=dict,
        help_text=CONFIG_HELP,
    )


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=255, default="", allow_blank=True)


class StopSerializer(ReasonSerializer):
    on_stop = serializers.ChoiceField(
        choices=["keep"],
        required=False,
        error_messages={"invalid_choice": 'It may only be "keep"; left out, the session\'s config decides.'},
        help_text="`keep`: what is held stays, whatever the config says; also of a session that stops already and "
        "would sell what cannot be sold. Left out: as the config says",
    )
