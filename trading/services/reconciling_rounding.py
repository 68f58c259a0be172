"""What a broker's cash differs by where it books each fill in whole cents, of the fills since it was connected."""

from decimal import Decimal

from django.db import connection

from trading.services.reconciling import Run


def rounding_of(run: Run) -> tuple[Decimal, Decimal]:
    """The lowest and the highest, as `trading.core.reconciliation.Holdings` has it. It reads all fills of the account,
    so it is asked for only where the cash differs. What was reversed has gone back as it came."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(sum(CASE trade_type WHEN 'buy' THEN amount - up ELSE down - amount END), 0),
                   coalesce(sum(CASE trade_type WHEN 'buy' THEN amount - down ELSE up - amount END), 0)
            FROM (
                SELECT t.trade_type, a.amount, floor(a.amount * 100 + 0.5) / 100, ceil(a.amount * 100 - 0.5) / 100
                FROM trading_execution AS e
                JOIN auto_trades AS t ON t.id = e.trade_id
                JOIN portfolios_brokeraccount AS b ON b.id = e.account_id
                CROSS JOIN LATERAL (SELECT e.quantity * e.price) AS a (amount)
                WHERE e.account_id = %s AND e.reversed_at IS NULL
                    AND e.created_at >= coalesce(b.connected_at, '-infinity')
            ) AS fill (trade_type, amount, up, down)
            """,
            [run.account_id],
        )
        lowest, highest = cursor.fetchone()
    return lowest, highest
