"""What the paper market does for us. It stands apart, so that who only asks for this imports nothing else."""

from trading.brokers.protocol import Capabilities
from trading.core.orders import OrderType, TimeInForce

PAPER_CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    fractional=True,  # down to the instrument's lot
    replaces=False,
    streams=False,
    has_network=False,
    activities=False,  # what it charges is part of its fills
)
