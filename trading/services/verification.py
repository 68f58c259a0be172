"""What the books say, recomputed from what never changes: ledger transfers and executions.

Each ledger transfer of a fill is compared with its execution, and with both of them cash, positions (quantity and
profit), reservations, the progress of trades, and the profit of portfolios and sessions. Two things depend on the
order of the fills and are not recomputed here: a position's average cost, and a session's successful trades.
"""

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
    "cash of a fill = quantity × price": """
        SELECT format('execution %%s: the ledger moved %%s of cash, quantity × price is %%s', e.execution_id,
                      coalesce(l.amount, 0), CASE WHEN t.trade_type = 'buy' THEN -1 ELSE 1 END * e.quantity * e.price)
        FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id LEFT JOIN (
            SELECT portfolio_id, execution_id,
                   sum(CASE WHEN debit_account = 'cash' THEN amount
                            WHEN credit_account = 'cash' THEN -amount ELSE 0 END) AS amount
            FROM ledger_transfers WHERE kind = 'fill' AND instrument_id IS NULL
            GROUP BY portfolio_id, execution_id) l
            ON l.portfolio_id = t.portfolio_id AND l.execution_id = e.execution_id
        WHERE abs(coalesce(l.amount, 0) - CASE WHEN t.trade_type = 'buy' THEN -1 ELSE 1 END * e.quantity * e.price)
              > 0.000000005""",
    "fee in the ledger = fee of the execution": """
        SELECT format('execution %%s: the ledger paid a fee of %%s, its fee is %%s',
                      e.execution_id, coalesce(l.amount, 0), e.fee)
        FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id LEFT JOIN (
            SELECT portfolio_id, execution_id,
                   sum(CASE WHEN debit_account = 'fees' AND credit_account = 'cash' THEN amount ELSE -amount END) AS amount
            FROM ledger_transfers WHERE kind = 'fee' GROUP BY portfolio_id, execution_id) l
            ON l.portfolio_id = t.portfolio_id AND l.execution_id = e.execution_id
        WHERE coalesce(l.amount, 0) <> e.fee""",
    "fills and fees in the ledger belong to executions": """
        SELECT format('transfer %%s: a %%s of execution %%s, which is missing', l.id, l.kind, l.execution_id)
        FROM ledger_transfers l
        WHERE l.kind IN ('fill', 'fee') AND NOT EXISTS (
            SELECT FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
            WHERE e.execution_id = l.execution_id AND t.portfolio_id = l.portfolio_id)""",
    "trade fees = Σ executions": """
        SELECT format('trade %%s: fees are %%s, executions say %%s', t.id, t.fees, coalesce(sum(e.fee), 0))
        FROM auto_trades t LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id HAVING t.fees <> coalesce(sum(e.fee), 0)""",
    "trade profit = Σ executions": """
        SELECT format('trade %%s: realised profit is %%s, executions say %%s', t.id, t.realised_pnl, coalesce(sum(e.realised_pnl), 0))
        FROM auto_trades t LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id HAVING t.realised_pnl <> coalesce(sum(e.realised_pnl), 0)""",
    "executed price = mean of executions": """
        SELECT format('trade %%s: executed price is %%s, the mean of its executions %%s',
                      t.id, t.executed_price, sum(e.quantity * e.price) / sum(e.quantity))
        FROM auto_trades t JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id
        HAVING t.executed_price IS NULL
            OR abs(t.executed_price - sum(e.quantity * e.price) / sum(e.quantity)) > 0.0000001""",
    "portfolio profit = Σ executions": """
        SELECT format('portfolio %%s: realised profit is %%s, executions say %%s',
                      p.id, p.realised_pnl, coalesce(sum(e.realised_pnl - e.fee), 0))
        FROM portfolios_portfolio p LEFT JOIN auto_trades t ON t.portfolio_id = p.id
        LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY p.id HAVING p.realised_pnl <> coalesce(sum(e.realised_pnl - e.fee), 0)""",
    "position profit = Σ executions": """
        SELECT format('portfolio %%s instrument %%s: realised profit is %%s, executions say %%s',
                      p.portfolio_id, p.instrument_id, p.realised_pnl, coalesce(sum(e.realised_pnl), 0))
        FROM portfolios_position p
        LEFT JOIN auto_trades t ON t.portfolio_id = p.portfolio_id AND t.instrument_id = p.instrument_id
        LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY p.id HAVING p.realised_pnl <> coalesce(sum(e.realised_pnl), 0)""",
    "cash is not negative": """
        SELECT format('portfolio %%s: cash is %%s', p.id, p.cash) FROM portfolios_portfolio p WHERE p.cash < 0""",
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
