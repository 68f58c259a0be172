"""The controls on an order before it exists, one small function each, in the order in which they are asked.

Each gets the request on *fresh* state and gives a Finding: passed or not, with value and limit. A fact that a
control needs and that is unknown refuses, and so does a limit that nobody has set; a reduction is held up by
neither, nor by anything that limits size, exposure or loss. `CONTROLS` is also what the table in
`docs/risk-controls.md` is made from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial

from portfolios.core.limits import SPECS, for_entries
from trading.core.history import PROTECTIVE_TWIN_SECONDS, twin_seconds
from trading.core.order_prices import LIMITED, collar_distance
from trading.core.verdicts import Finding, RefusalCode, RiskRequest

Check = Callable[[RiskRequest], Finding]
HUNDRED = Decimal(100)
CODE = RefusalCode


class Reductions(StrEnum):
    """Whether a control may hold up an order that only reduces a position."""

    YES = "yes"
    NO = "no"
    IN_HALT = "in mode halt, not in reduce_only"
    MARKET_ORDERS = "yes, unless it has a limit price, is a protection or a flatten"
    KNOWN = "yes, when the reference is known"
    KNOWN_AND_UNPROTECTED = "yes, when the reference is known, unless it is a protection or a flatten"
    UNLIKE_TWINS = (
        f"yes; of a protection or a flatten only one of these, within {PROTECTIVE_TWIN_SECONDS} seconds"
    )
    KEPT_SLOTS = "yes, with a fifth of the messages kept for them"


@dataclass(frozen=True)
class Control:
    """One question to an order. `limits` are the catalogue's names that it needs; `anchor` is where it is from."""

    code: RefusalCode
    refuses: str
    reductions: Reductions
    anchor: str
    check: Check
    limits: tuple[str, ...] = ()


# --- who, when, whether at all -----------------------------------------------------------------------


def _halted(r: RiskRequest) -> Finding:
    passed = r.halt is None or (r.halt == "reduce_only" and r.reduces)
    return Finding(CODE.HALTED, passed, r.halt or "none", "none", r.halt_reason)


def _actor_permitted(r: RiskRequest) -> Finding:
    value = "not entitled" if r.actor_objection else "entitled"
    return Finding(CODE.NOT_PERMITTED, not r.actor_objection, value, "entitled", r.actor_objection)


def _terms_permitted(r: RiskRequest) -> Finding:
    value = "not possible" if r.terms_objection else "possible"
    return Finding(CODE.NOT_PERMITTED, not r.terms_objection, value, "possible", r.terms_objection)


def _instrument_permitted(r: RiskRequest) -> Finding:
    value = "not permitted" if r.instrument_objection else "permitted"
    passed = r.reduces or not r.instrument_objection
    return Finding(CODE.NOT_PERMITTED, passed, value, "permitted", r.instrument_objection)


def _market_open(r: RiskRequest) -> Finding:
    return Finding(CODE.MARKET_CLOSED, r.market_open, "open" if r.market_open else "closed", "open")


def _in_own_hours(r: RiskRequest) -> Finding:
    value = "outside" if r.time_objection else "inside"
    return Finding(CODE.TIME_RESTRICTED, r.reduces or not r.time_objection, value, "inside", r.time_objection)


# --- data and prices ---------------------------------------------------------------------------------


def _limited(
    code: RefusalCode,
    name: str,
    measure: Callable[[RiskRequest], Decimal],
    *,
    strictly_below: bool = False,
    blocks_reductions: bool = False,
) -> Check:
    """A check of a measured value against a limit that must be set.

    `strictly_below`: to reach the limit is enough to refuse. A limit at its open end needs no fact.
    """
    spec = SPECS[name]
    may_be_open, is_floor = spec.open_end is not None, spec.higher_is_tighter
    made = partial(tuple.__new__, Finding)  # by its name it takes several times as long

    def check(r: RiskRequest) -> Finding:
        limit = r.limits.get(name)
        if limit is None:
            return Finding(CODE.NO_LIMIT_SET, r.reduces, "not set", name)
        if may_be_open and spec.lets_everything_pass(limit):
            return Finding(code, True, "any", limit, "", name)
        value = measure(r)
        if value.is_nan():
            return Finding(code, r.reduces, "unknown", limit, "", name)
        below = value < limit if strictly_below else value <= limit
        within = value >= limit if is_floor else below
        return made((code, within or (r.reduces and not blocks_reductions), value, limit, "", name))

    return check


def _fresh_price(r: RiskRequest) -> Finding:
    """Whoever takes the market's price needs a fresh one. Protections and flattening go out without, and so does a
    sell that gets its own limit price or nothing."""
    limit = r.limits.get("max_price_age_seconds")
    if limit is None:
        return Finding(CODE.NO_LIMIT_SET, r.reduces, "not set", "max_price_age_seconds")
    passed = r.protective or (r.reduces and r.terms.order_type in LIMITED) or r.price_age_seconds <= limit
    return Finding(CODE.STALE_DATA, passed, r.price_age_seconds, limit, limit_name="max_price_age_seconds")


def _fresh_recommendation(r: RiskRequest) -> Finding:
    age, name = r.recommendation_age_minutes, "max_recommendation_age_minutes"
    if age is None:
        return Finding(CODE.STALE_DATA, True, "no recommendation", "any", limit_name=name)
    check = _limited(CODE.STALE_DATA, name, lambda _: age)
    return check(r)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    """Percent of a whole; unknown stays unknown, and of nothing any part is infinitely much."""
    if part.is_nan() or whole.is_nan():
        return Decimal("NaN")
    return part / whole * HUNDRED if whole > 0 else Decimal("Infinity")


def _distance_percentage(price: Decimal, reference: Decimal) -> Decimal:
    if price.is_nan() or reference.is_nan():
        return Decimal("NaN")
    return abs(_percent(price - reference, reference))


def _close_to_the_bar() -> Check:
    """Whoever protects or flattens sells after a fall, the deeper the more: a day's close does not tell that its price
    is wrong. Jumps of the feed are put aside before anybody sees them (`market.core.quote_checks`)."""
    check = _limited(
        CODE.PRICE_COLLAR, "max_price_move_percentage",
        lambda r: _distance_percentage(r.price, r.bar_close), blocks_reductions=True,
    )  # fmt: skip

    def checked(r: RiskRequest) -> Finding:
        finding = check(r)
        return finding._replace(passed=True) if r.protective else finding

    return checked


def _collar(r: RiskRequest) -> Decimal:
    return collar_distance(
        r.terms, side=r.side, execution=r.execution_price, reference_price=r.reference_price
    )


# --- rates and repetitions ---------------------------------------------------------------------------


def _messages(name: str, count: Callable[[RiskRequest], int]) -> Check:
    """The last slots are for what reduces: an entry must leave them free."""

    def check(r: RiskRequest) -> Finding:
        limit = r.limits.get(name)
        if limit is None:
            return Finding(CODE.NO_LIMIT_SET, r.reduces, "not set", name)
        if not r.reduces:
            limit = for_entries(limit)
        value = Decimal(count(r) + 1)
        return Finding(CODE.MAX_MESSAGES, value <= limit, value, limit, limit_name=name)

    return check


def _no_twin(r: RiskRequest) -> Finding:
    window = twin_seconds(r.limits, protective=r.protective)
    if window is None:
        return Finding(CODE.NO_LIMIT_SET, r.reduces, "not set", "duplicate_order_seconds")
    return Finding(
        CODE.DUPLICATE_ORDER, r.twins == 0, r.twins, 0, f"equal orders within {window.normalize():f} s"
    )


def _no_own_working(r: RiskRequest) -> Finding:
    """A rule that stays true would add an order on each look while its first one waits for its price."""
    return Finding(
        CODE.DUPLICATE_ORDER, r.own_working == 0, r.own_working, 0, "orders of the rule that still work"
    )


def _not_running_wild(r: RiskRequest) -> Finding:
    limit, window = r.limits.get("max_rule_executions"), r.limits.get("rule_execution_window_minutes")
    if limit is None or window is None:
        missing = "max_rule_executions" if limit is None else "rule_execution_window_minutes"
        return Finding(CODE.NO_LIMIT_SET, r.reduces or not r.of_rule, "not set", missing)
    value = Decimal(r.rule_executions + 1) if r.of_rule else Decimal(0)
    passed = r.reduces or value <= limit
    note = f"within {window.normalize():f} minutes"
    return Finding(CODE.REPEATED_EXECUTION, passed, value, limit, note, limit_name="max_rule_executions")


# --- money and size ----------------------------------------------------------------------------------


def _sufficient_cash(r: RiskRequest) -> Finding:
    passed = r.reduces or r.cost <= r.free_cash
    return Finding(CODE.INSUFFICIENT_CASH, passed, r.cost if not r.reduces else 0, r.free_cash)


def _sufficient_position(r: RiskRequest) -> Finding:
    passed = not r.reduces or r.quantity <= r.free_quantity
    return Finding(CODE.INSUFFICIENT_POSITION, passed, r.quantity if r.reduces else 0, r.free_quantity)


def _within_capital_cap(r: RiskRequest) -> Finding:
    if r.capital_cap is None:
        return Finding(CODE.CAPITAL_CAP, True, "any", "none")
    value = r.session_invested + r.value
    if value.is_nan() or r.capital_cap.is_nan():
        return Finding(CODE.CAPITAL_CAP, r.reduces, "unknown", r.capital_cap)
    return Finding(CODE.CAPITAL_CAP, r.reduces or value <= r.capital_cap, value, r.capital_cap)


def _diversified(r: RiskRequest) -> Finding:
    """Below the floor only what spreads the weights more may be bought: so a portfolio can begin with one holding."""
    name = "min_effective_holdings"
    limit = r.limits.get(name)
    if limit is None:
        return Finding(CODE.NO_LIMIT_SET, r.reduces, "not set", name)
    if SPECS[name].lets_everything_pass(limit):
        return Finding(CODE.MIN_DIVERSIFICATION, True, "any", limit, limit_name=name)
    after = r.effective_holdings_after
    if after.is_nan() or r.effective_holdings.is_nan():
        return Finding(CODE.MIN_DIVERSIFICATION, r.reduces, "unknown", limit, limit_name=name)
    passed = r.reduces or after >= limit or after > r.effective_holdings
    return Finding(
        CODE.MIN_DIVERSIFICATION, passed, after, limit, f"{r.effective_holdings:.2f} before", limit_name=name
    )


# --- what was before ---------------------------------------------------------------------------------


def _no_other_side(r: RiskRequest) -> Finding:
    return Finding(CODE.WASH_TRADE, r.opposite_orders == 0, r.opposite_orders, 0)


def _no_unknown(r: RiskRequest) -> Finding:
    return Finding(CODE.UNKNOWN_OUTSTANDING, r.unknown_before == 0, r.unknown_before, 0)


def _most(
    code: RefusalCode,
    limit: str,
    refuses: str,
    anchor: str,
    measure: Callable[[RiskRequest], Decimal],
    *,
    strictly_below: bool = False,
) -> Control:
    """A limit on size, exposure, loss or market: it never holds up a reduction."""
    check = _limited(code, limit, measure, strictly_below=strictly_below)
    return Control(code, refuses, Reductions.NO, anchor, check, (limit,))


RTS, SEC, FIA, BRIEF = "RTS 6 Art ", "SEC 15c3-5", "FIA", "specification"
CONTROLS: tuple[Control, ...] = (
    Control(CODE.HALTED, "a halt covers platform, account, portfolio, session, rule or symbol", Reductions.IN_HALT,
            RTS + "12", _halted),
    Control(CODE.NOT_PERMITTED, "the actor or the portfolio's account is not entitled to trade", Reductions.YES,
            f"{RTS}15(4), {SEC}(c)(2)", _actor_permitted),
    Control(CODE.NOT_PERMITTED, "the account's broker cannot do such an order", Reductions.YES,
            f"{RTS}15(4)", _terms_permitted),
    Control(CODE.NOT_PERMITTED, "the instrument is not active, in another currency than the portfolio, not on its list,"
            " or restricted", Reductions.NO, f"{RTS}15(4), {SEC}(c)(2)", _instrument_permitted),
    Control(CODE.MARKET_CLOSED, "the exchange is closed", Reductions.YES, BRIEF, _market_open),
    Control(CODE.TIME_RESTRICTED, "outside the session's hours, weekdays, minutes after open and before close, on a"
            " blackout date, or after its end", Reductions.NO, BRIEF, _in_own_hours),
    Control(CODE.STALE_DATA, "the price is older than the limit", Reductions.MARKET_ORDERS, RTS + "15(1)(a)",
            _fresh_price, ("max_price_age_seconds",)),
    Control(CODE.STALE_DATA, "the recommendation that the entry rests on is older than the limit", Reductions.NO,
            RTS + "15(1)(a)", _fresh_recommendation, ("max_recommendation_age_minutes",)),
    Control(CODE.PRICE_COLLAR, "the order would execute too far from the last price, or from its stop price; a limit"
            " price too far on the worse side", Reductions.KNOWN,
            RTS + "15(1)(a)", _limited(CODE.PRICE_COLLAR, "max_price_deviation_percentage",
            _collar, blocks_reductions=True),
            ("max_price_deviation_percentage",)),
    Control(CODE.PRICE_COLLAR, "the last price is too far from the last completed bar's close",
            Reductions.KNOWN_AND_UNPROTECTED, RTS + "15(1)(a)", _close_to_the_bar(), ("max_price_move_percentage",)),
    _most(CODE.MAX_ORDER_VALUE, "max_order_value", "the order is worth more", RTS + "15(1)(b)", lambda r: r.value),
    _most(CODE.MAX_ORDER_QUANTITY, "max_order_quantity", "the order has more units", RTS + "15(1)(c)",
          lambda r: r.quantity),
    Control(CODE.MAX_MESSAGES, "too many orders and cancels within a second", Reductions.KEPT_SLOTS,
            RTS + "15(1)(d)", _messages("max_messages_per_second", lambda r: r.messages_last_second),
            ("max_messages_per_second",)),
    Control(CODE.MAX_MESSAGES, "too many orders and cancels within a minute", Reductions.KEPT_SLOTS,
            RTS + "15(1)(d)", _messages("max_messages_per_minute", lambda r: r.messages_last_minute),
            ("max_messages_per_minute",)),
    Control(CODE.DUPLICATE_ORDER, "an order with the same symbol, side, quantity and rule is just before it",
            Reductions.UNLIKE_TWINS, SEC + "(c)(1)(ii)", _no_twin, ("duplicate_order_seconds",)),
    Control(CODE.DUPLICATE_ORDER, "an order of the same rule on the same side of the symbol still works",
            Reductions.YES, SEC + "(c)(1)(ii)", _no_own_working),
    Control(CODE.REPEATED_EXECUTION, "the rule fired too often; it is disabled until a risk officer releases it",
            Reductions.NO, RTS + "15(3)", _not_running_wild, ("max_rule_executions", "rule_execution_window_minutes")),
    Control(CODE.INSUFFICIENT_CASH, "it costs more than the cash that no other order has reserved", Reductions.NO,
            SEC + "(c)(1)(i)", _sufficient_cash),
    Control(CODE.INSUFFICIENT_POSITION, "it sells more than is held and not promised to another sell",
            Reductions.YES, SEC + "(c)(1)(i)", _sufficient_position),
    _most(CODE.MAX_POSITION_SIZE, "max_position_percentage", "the position would be larger", BRIEF,
          lambda r: _percent(r.position_value + r.value, r.equity)),
    _most(CODE.MAX_POSITION_VALUE, "max_position_value", "the position would be worth more", FIA,
          lambda r: r.position_value + r.value),
    _most(CODE.MAX_OPEN_POSITIONS, "max_open_positions", "there would be more positions", BRIEF,
          lambda r: Decimal(r.open_positions + r.opens_position)),
    _most(CODE.MAX_GROSS_EXPOSURE, "max_gross_exposure_percentage", "more would be invested", BRIEF,
          lambda r: _percent(r.gross_exposure + r.value, r.equity)),
    _most(CODE.MAX_LEVERAGE, "max_leverage", "more would be invested", BRIEF,
          lambda r: _percent(r.gross_exposure + r.value, r.equity) / HUNDRED),
    Control(CODE.CAPITAL_CAP, "the session would have more invested than the part of the portfolio that it was given",
            Reductions.NO, BRIEF, _within_capital_cap),
    _most(CODE.MAX_SECTOR_EXPOSURE, "max_sector_exposure_percentage", "more would be invested in the sector", BRIEF,
          lambda r: _percent(r.sector_exposure + r.value, r.equity)),
    _most(CODE.MAX_CORRELATION, "max_correlation", "its daily returns go along with a holding's", BRIEF,
          lambda r: r.correlation),
    Control(CODE.MIN_DIVERSIFICATION, "too few effective holdings, and it would not make them more", Reductions.NO,
            BRIEF, _diversified, ("min_effective_holdings",)),
    _most(CODE.MARKET_CONDITION, "max_volatility", "the instrument is too volatile", BRIEF, lambda r: r.volatility),
    _most(CODE.MARKET_CONDITION, "min_volume", "too little of it is traded", BRIEF, lambda r: r.volume),
    _most(CODE.MARKET_CONDITION, "min_relative_volume", "less of it is traded than usual", BRIEF,
          lambda r: r.relative_volume),
    _most(CODE.MARKET_CONDITION, "max_spread_bps", "its spread is too wide", BRIEF, lambda r: r.spread_bps),
    # reaching the limit is enough to stop entries
    _most(CODE.MAX_DAILY_LOSS, "max_daily_loss_percentage", "the day's loss has reached it", BRIEF,
          lambda r: -r.daily_pnl_percentage, strictly_below=True),
    _most(CODE.MAX_DRAWDOWN, "max_drawdown_percentage", "the drawdown has reached it", BRIEF,
          lambda r: r.drawdown_percentage, strictly_below=True),
    _most(CODE.MAX_LOSING_STREAK, "max_losing_streak", "as many trades in a row were losses", "freqtrade",
          lambda r: Decimal(r.losing_streak), strictly_below=True),
    _most(CODE.COOLDOWN, "entry_cooldown_minutes", "the symbol was sold just before", "freqtrade",
          lambda r: r.minutes_since_sold),
    _most(CODE.MAX_DAILY_TRADES, "max_daily_trades", "the portfolio has had as many trades today", BRIEF,
          lambda r: Decimal(r.daily_trades + 1)),
    _most(CODE.MAX_DAILY_TRADES, "max_daily_trades_per_rule", "the rule has had as many trades today", BRIEF,
          lambda r: Decimal(r.daily_trades_of_rule + 1)),
    _most(CODE.MAX_DAILY_TRADES, "max_daily_trades_per_symbol", "the symbol has had as many trades today", BRIEF,
          lambda r: Decimal(r.daily_trades_of_symbol + 1)),
    Control(CODE.WASH_TRADE, "an own order on the other side is open that it might meet, or beside which the broker"
            " rejects it", Reductions.YES, FIA, _no_other_side),
    Control(CODE.UNKNOWN_OUTSTANDING,
            "the outcome of an order on this symbol, or, for an entry, of this rule, is unknown", Reductions.YES,
            "design", _no_unknown),
)  # fmt: skip
