"""Everything that the books say, recomputed from what cannot change: ledger transfers and executions."""

from django.db import connection

# Each query gives one text per difference; no row means that this part of the books is right.
CHECKS: dict[str, str] = {
    "cash = Σ ledger": """
        SELECT format('portfolio %%s: cash is %%s, the ledger says %%s', p.id, p.cash, coalesce(l.amount, 0))
        FROM portfolios_portfolio p LEFT JOIN (
            SELECT portfolio_id, sum(CASE WHEN debit_account = 'cash' THEN amount
                                          WHEN credit_account = 'cash' THEN -amount ELSE 0 END) AS amount
            FROM ledger_transfers GROUP BY portfolio_id) l ON l.portfolio_id = p.id
        WHERE p.cash <> coalesce(l.amount, 0)""",
    "position = Σ ledger": """
        SELECT format('portfolio %%s instrument %%s: position is %%s, the ledger says %%s',
                      coalesce(p.portfolio_id, l.portfolio_id), coalesce(p.instrument_id, l.instrument_id),
                      coalesce(p.quantity, 0), coalesce(l.quantity, 0))
        FROM portfolios_position p FULL JOIN (
            SELECT portfolio_id, instrument_id, sum(CASE WHEN debit_account = 'holdings' THEN amount
                                                         WHEN credit_account = 'holdings' THEN -amount ELSE 0 END) AS quantity
            FROM ledger_transfers WHERE instrument_id IS NOT NULL GROUP BY portfolio_id, instrument_id) l
            ON l.portfolio_id = p.portfolio_id AND l.instrument_id = p.instrument_id
        WHERE coalesce(p.quantity, 0) <> coalesce(l.quantity, 0)""",
    "position = Σ executions": """
        SELECT format('portfolio %%s instrument %%s: position is %%s, executions say %%s',
                      p.portfolio_id, p.instrument_id, p.quantity, coalesce(e.quantity, 0))
        FROM portfolios_position p LEFT JOIN (
            SELECT t.portfolio_id, t.instrument_id,
                   sum(CASE WHEN t.trade_type = 'buy' THEN e.quantity ELSE -e.quantity END) AS quantity
            FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
            GROUP BY t.portfolio_id, t.instrument_id) e
            ON e.portfolio_id = p.portfolio_id AND e.instrument_id = p.instrument_id
        WHERE p.quantity <> coalesce(e.quantity, 0)""",
    "filled = Σ executions": """
        SELECT format('trade %%s: filled is %%s, executions say %%s', t.id, t.filled_quantity, coalesce(sum(e.quantity), 0))
        FROM auto_trades t LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id HAVING t.filled_quantity <> coalesce(sum(e.quantity), 0)""",
    "one fill in the ledger for each execution": """
        SELECT format('execution %%s: %%s cash transfers in the ledger', e.execution_id, count(l.id))
        FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
        LEFT JOIN ledger_transfers l ON l.execution_id = e.execution_id AND l.portfolio_id = t.portfolio_id
            AND l.kind = 'fill' AND l.instrument_id IS NULL
        GROUP BY e.id, e.execution_id HAVING count(l.id) <> 1""",
    "reserved cash = Σ reservations": """
        SELECT format('portfolio %%s: reserved cash is %%s, reservations say %%s', p.id, p.reserved_cash, coalesce(sum(r.cash), 0))
        FROM portfolios_portfolio p LEFT JOIN portfolios_reservation r ON r.portfolio_id = p.id
        GROUP BY p.id HAVING p.reserved_cash <> coalesce(sum(r.cash), 0)""",
    "reserved quantity = Σ reservations": """
        SELECT format('position %%s: reserved quantity is %%s, reservations say %%s', p.id, p.reserved_quantity, coalesce(sum(r.quantity), 0))
        FROM portfolios_position p LEFT JOIN portfolios_reservation r
            ON r.portfolio_id = p.portfolio_id AND r.instrument_id = p.instrument_id
        GROUP BY p.id HAVING p.reserved_quantity <> coalesce(sum(r.quantity), 0)""",
    "reservations belong to open trades": """
        SELECT format('reservation of %%s: its trade is %%s', r.owner_id, coalesce(t.status, 'missing'))
        FROM portfolios_reservation r LEFT JOIN auto_trades t ON t.id = r.owner_id
        WHERE t.id IS NULL OR t.status IN ('filled', 'cancelled', 'rejected', 'expired')""",
    "open trades have reservations": """
        SELECT format('trade %%s is %%s and has no reservation', t.id, t.status)
        FROM auto_trades t LEFT JOIN portfolios_reservation r ON r.owner_id = t.id
        WHERE t.status NOT IN ('filled', 'cancelled', 'rejected', 'expired') AND r.owner_id IS NULL""",
    "session totals = Σ trades": """
        SELECT format('session %%s: totals are %%s trades, %%s; executions say %%s, %%s',
                      s.id, s.total_trades, s.total_pnl, count(DISTINCT t.id), coalesce(sum(e.realised_pnl - e.fee), 0))
        FROM trading_sessions s LEFT JOIN auto_trades t ON t.session_id = s.id AND t.filled_quantity > 0
        LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY s.id
        HAVING s.total_trades <> count(DISTINCT t.id) OR s.total_pnl <> coalesce(sum(e.realised_pnl - e.fee), 0)""",
}


def book_differences() -> list[str]:
    """One line for each difference, named by the check that found it; empty when the books are right."""
    lines = []
    with connection.cursor() as cursor:
        for name, query in CHECKS.items():
            cursor.execute(query, [])
            lines += [f"{name}: {row[0]}" for row in cursor.fetchall()]
    return lines
