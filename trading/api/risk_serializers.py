"""What the API shows of a portfolio's risk.

Money and whatever is compared with a limit is text; ratios are numbers: fractions, and percent where the name ends
in `percentage`. Null is unknown.
"""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from foundation.core.canonical import plain_decimal
from foundation.core.money import round_money
from trading.core.portfolio_risk import DAYS_MIN, TOP


def _number(help_text: str, **options: Any) -> serializers.FloatField:
    return serializers.FloatField(help_text=help_text, allow_null=True, **options)


class AmountField(serializers.CharField):
    """A Decimal as text without trailing zeros, rounded to the 8 places that amounts and limits have."""

    def __init__(self, help_text: str, **options: Any) -> None:
        super().__init__(help_text=help_text, allow_null=True, **options)

    def to_representation(self, value: Any) -> str:
        assert isinstance(value, Decimal)
        return plain_decimal(round_money(value))


class RiskHoldingSerializer(serializers.Serializer[Any]):
    """Something held or being bought."""

    symbol = serializers.CharField()
    sector = serializers.CharField(allow_blank=True)
    exposure = AmountField("its worth, and what working buys have reserved for it")
    weight = _number("exposure as a fraction of equity")
    risk_share = _number(
        "its part in the portfolio's variance, as a fraction; all add up to 1, and what hedges the rest is negative"
    )


class ConcentrationSerializer(serializers.Serializer[Any]):
    largest_symbol = serializers.CharField(allow_null=True, help_text="null while nothing is held")
    largest_weight = serializers.FloatField(help_text="fraction of equity")
    top_weight = serializers.FloatField(help_text=f"the {TOP} largest together, fraction of equity")
    herfindahl = _number("Σ weight² within what is invested, 1 / holdings .. 1; null while nothing is")
    effective_holdings = _number("1 / herfindahl: so many equal holdings would be as concentrated")


class SectorWeightSerializer(serializers.Serializer[Any]):
    sector = serializers.CharField(allow_blank=True)
    exposure_percentage = _number("percent of equity, working buys included")


class PairSerializer(serializers.Serializer[Any]):
    first = serializers.CharField()
    second = serializers.CharField()
    correlation = serializers.FloatField()


class CorrelationSerializer(serializers.Serializer[Any]):
    """Pearson's, of daily returns; null with fewer than two holdings, or while one of them did not move at all."""

    average = _number("mean over the pairs of holdings")
    weighted_average = _number("the same, each pair weighted by the product of its weights")
    highest = PairSerializer(allow_null=True)


class ValueAtRiskSerializer(serializers.Serializer[Any]):
    """A day's loss by historical simulation: what the present holdings would have lost on past days.

    Of n days the ⌊n · (1 − confidence)⌋-th worst, not interpolated. Negative: even that day was a gain. Null with
    fewer than `days_min` days.
    """

    confidence = serializers.IntegerField(help_text="percent")
    days_min = serializers.IntegerField(help_text="days of returns that it needs")
    percentage = _number("percent of equity")
    amount = AmountField("in the portfolio's currency")
    shortfall_percentage = _number(
        "expected shortfall: mean of that loss and the worse ones, percent of equity"
    )
    shortfall_amount = AmountField("expected shortfall, in the portfolio's currency")


class ReturnsRiskSerializer(serializers.Serializer[Any]):
    """What daily returns tell of the present holdings: at most 250 days that all their exchanges have in common."""

    days = serializers.IntegerField(help_text="on so many all holdings have a return")
    missing = serializers.ListField(
        child=serializers.CharField(),
        help_text=f"holdings without enough returns: with fewer than {DAYS_MIN} days everything here is null",
    )
    correlation = CorrelationSerializer()
    volatility = _number(
        "of the portfolio a year, as a fraction of equity: √252 × deviation of daily returns"
    )
    values_at_risk = ValueAtRiskSerializer(many=True)


class DrawdownSerializer(serializers.Serializer[Any]):
    """Null until an evaluation has noted the highest equity, and the first one of this market day."""

    peak_equity = AmountField("the highest equity so far; deposits and withdrawals move it in proportion")
    amount = AmountField("how far the equity is below it")
    percentage = _number("the same in percent of it")
    day_open_equity = AmountField("what this market day began with: the last equity known of the day before")
    daily_pnl = AmountField("profit (negative: loss) since then")
    daily_pnl_percentage = _number("the same in percent of the day's first equity")


class SubjectSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["symbol", "pair", "sector", "rule"])
    name = serializers.CharField(allow_blank=True)
    id = serializers.UUIDField(allow_null=True, help_text="of a rule")


class LimitUseSerializer(serializers.Serializer[Any]):
    """One limit, and what is used of it now."""

    name = serializers.CharField(source="spec.name")
    meaning = serializers.CharField(source="spec.meaning")
    unit = serializers.CharField(source="spec.unit")
    limit = AmountField("the tightest of all scopes; null: none is set, and nothing that needs it is traded")
    scope = serializers.CharField(
        allow_null=True,
        help_text="which sets it: platform, account, portfolio, session, or instrument where `subject` is its symbol",
    )
    per_order = serializers.BooleanField(
        help_text="asked of each order: nothing of it is used up, `value` is null"
    )
    value = AmountField("used now, in `unit`")
    utilisation = _number(
        "value / limit, where the limit is the least permitted limit / value: above 1 it is passed; null for x / 0"
    )
    headroom = AmountField("what is left, in `unit`; negative beyond the limit")
    subject = SubjectSerializer(
        allow_null=True, help_text="of what it is the worst; null for the portfolio as a whole"
    )
    note = serializers.CharField(allow_blank=True, help_text="why `value` is null")


class PortfolioRiskSerializer(serializers.Serializer[Any]):
    snapshot_version = serializers.IntegerField(allow_null=True, help_text="null before the first snapshot")
    as_of = serializers.DateTimeField(allow_null=True, help_text="market time")
    equity = AmountField("cash and what is held")
    unknown_prices = serializers.ListField(
        child=serializers.CharField(),
        help_text="held, but without a fresh price: because of them the equity and its parts are unknown",
    )
    holdings = RiskHoldingSerializer(many=True, help_text="the largest first")
    concentration = ConcentrationSerializer(allow_null=True)
    sectors = SectorWeightSerializer(many=True, help_text="the largest first")
    returns = ReturnsRiskSerializer()
    drawdown = DrawdownSerializer()
    limits_version = serializers.CharField(help_text="the limits in force, as orders name them")
    limits = LimitUseSerializer(many=True, help_text="every limit there is")


EXAMPLE = OpenApiExample(
    "Two holdings",
    response_only=True,
    value={
        "snapshot_version": 4711,
        "as_of": "2010-03-01T21:00:00Z",
        "equity": "100000",
        "unknown_prices": [],
        "holdings": [
            {"symbol": "AAPL", "sector": "Technology", "exposure": "30000", "weight": 0.3, "risk_share": 0.68},
            {"symbol": "IBM", "sector": "Technology", "exposure": "20000", "weight": 0.2, "risk_share": 0.32},
        ],
        "concentration": {
            "largest_symbol": "AAPL", "largest_weight": 0.3, "top_weight": 0.5, "herfindahl": 0.52,
            "effective_holdings": 1.923,
        },
        "sectors": [{"sector": "Technology", "exposure_percentage": 50.0}],
        "returns": {
            "days": 250,
            "missing": [],
            "correlation": {
                "average": 0.52, "weighted_average": 0.52,
                "highest": {"first": "AAPL", "second": "IBM", "correlation": 0.52},
            },
            "volatility": 0.131,
            "values_at_risk": [
                {"confidence": 95, "days_min": 60, "percentage": 1.31, "amount": "1310",
                 "shortfall_percentage": 1.9, "shortfall_amount": "1900"},
                {"confidence": 99, "days_min": 100, "percentage": 2.4, "amount": "2400",
                 "shortfall_percentage": 2.7, "shortfall_amount": "2700"},
            ],
        },
        "drawdown": {
            "peak_equity": "102000", "amount": "2000", "percentage": 1.960784, "day_open_equity": "100500",
            "daily_pnl": "-500", "daily_pnl_percentage": -0.497512,
        },
        "limits_version": "platform:1 portfolio:3",
        "limits": [
            {"name": "max_position_percentage", "meaning": "Largest position, working orders included",
             "unit": "percent of equity", "limit": "40", "scope": "portfolio", "per_order": False, "value": "30",
             "utilisation": 0.75, "headroom": "10", "subject": {"kind": "symbol", "name": "AAPL", "id": None},
             "note": ""},
            {"name": "max_order_value", "meaning": "Largest value of one order", "unit": "base currency",
             "limit": "100000", "scope": "platform", "per_order": True, "value": None, "utilisation": None,
             "headroom": None, "subject": None, "note": "Holds for each order."},
        ],
    },
)  # fmt: skip
