"""What a portfolio owns, who may see it, and within which limits it may trade.

Money, positions and reservations are written by `portfolios.services` only, under the portfolio's lock.
"""

from portfolios.core.access import Role
from portfolios.models.books import LedgerTransfer, PortfolioMark, Position, PositionMark, Reservation
from portfolios.models.changes import PortfolioChange
from portfolios.models.corporate_actions import CorporateActionBooking, CorporateActionSettlement
from portfolios.models.equity import EquityPoint
from portfolios.models.limits import InstrumentPermission, InstrumentPermissionProposal, LimitSet
from portfolios.models.owners import ROLES, BrokerAccount, BrokerCredential, Member, Portfolio
from portfolios.models.past import PastPortfolioMark, PastPositionMark, PastReservation

__all__ = [
    "ROLES", "BrokerAccount", "BrokerCredential", "CorporateActionBooking", "CorporateActionSettlement", "EquityPoint",
    "InstrumentPermission", "InstrumentPermissionProposal", "LedgerTransfer", "LimitSet", "Member",
    "PastPortfolioMark", "PastPositionMark", "PastReservation", "Portfolio", "PortfolioChange", "PortfolioMark",
    "Position", "PositionMark", "Reservation", "Role",
]  # fmt: skip
