"""Whether a broker can do an order: what is in the way, and what it could do instead. Pure."""

from decimal import Decimal

from trading.brokers.protocol import Capabilities
from trading.core.orders import OrderTerms


def terms_objection(capabilities: Capabilities, terms: OrderTerms, *, quantity: Decimal) -> str:
    """Empty when it can. quantity in units."""
    if terms.order_type not in capabilities.order_types:
        could = ", ".join(sorted(capabilities.order_types))
        return f"the account's broker has no {terms.order_type} orders; it has {could}"
    if terms.time_in_force not in capabilities.times_in_force:
        could = ", ".join(sorted(capabilities.times_in_force))
        return f"the account's broker has no orders that are {terms.time_in_force}; it has {could}"
    if quantity == quantity.to_integral_value():
        return ""
    if not capabilities.fractional:
        return "the account's broker takes whole units only: order a whole number"
    for term in (terms.time_in_force, terms.order_type):
        if term in capabilities.whole_only:
            return f"the account's broker takes whole units only in {term} orders: order a whole number"
    return ""
