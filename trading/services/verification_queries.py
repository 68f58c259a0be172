"""What the books must say, as SQL over what never changes: ledger transfers and executions.

Each query gives one text per difference; no row means that this part of the books is right. All are linear in the
rows that they look at. What depends on the order of the entries is replayed instead (`replaying.py`).
"""

from trading.core.order_states import OrderState
from trading.services.verification_of_activities import ACTIVITIES

_STATES = ", ".join(f"'{state.value}'" for state in OrderState)

FILLS: dict[str, str] = {
    "cash = Σ ledger": """
        SELECT format('portfolio %%s: cash is %%s, the ledger says %%s', p.id, p.cash, coalesce(l.amount, 0))
        FROM portfolios_portfolio p LEFT JOIN (
            SELECT portfolio_id, sum(CASE WHEN debit_account = 'cash' THEN amount
                                          WHEN credit_account = 'cash' THEN -amount ELSE 0 END) AS amount
            FROM ledger_transfers GROUP BY portfolio_id) l ON l.portfolio_id = p.id
        WHERE p.cash <> coalesce(l.amount, 0)""",
    "paid in = Σ ledger": """
        SELECT format('portfolio %%s: paid in is %%s, the ledger says %%s', p.id, p.paid_in, coalesce(l.amount, 0))
        FROM portfolios_portfolio p LEFT JOIN (
            SELECT portfolio_id, sum(CASE WHEN credit_account = 'capital' THEN amount ELSE -amount END) AS amount
            FROM ledger_transfers WHERE 'capital' IN (debit_account, credit_account) GROUP BY portfolio_id) l
            ON l.portfolio_id = p.id
        WHERE p.paid_in <> coalesce(l.amount, 0)""",
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
    "position = Σ executions and splits": """
        SELECT format('portfolio %%s instrument %%s: position is %%s, executions and splits say %%s',
                      p.portfolio_id, p.instrument_id, p.quantity, coalesce(e.quantity, 0) + coalesce(s.quantity, 0))
        FROM portfolios_position p LEFT JOIN (
            SELECT t.portfolio_id, t.instrument_id,
                   sum(CASE WHEN t.trade_type = 'buy' THEN e.quantity ELSE -e.quantity END) AS quantity
            FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
            WHERE e.reversed_at IS NULL GROUP BY t.portfolio_id, t.instrument_id) e
            ON e.portfolio_id = p.portfolio_id AND e.instrument_id = p.instrument_id
        LEFT JOIN (
            SELECT l.portfolio_id, l.instrument_id,
                   sum(CASE WHEN l.debit_account = 'holdings' THEN l.amount ELSE -l.amount END) AS quantity
            FROM ledger_transfers l LEFT JOIN ledger_transfers r ON r.id = l.reverses_id
            WHERE l.instrument_id IS NOT NULL AND coalesce(r.kind, l.kind) IN ('split', 'cash_in_lieu')
            GROUP BY l.portfolio_id, l.instrument_id) s
            ON s.portfolio_id = p.portfolio_id AND s.instrument_id = p.instrument_id
        WHERE p.quantity <> coalesce(e.quantity, 0) + coalesce(s.quantity, 0)""",
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
        SELECT format('trade %%s: fees are %%s, executions say %%s', t.id, t.fees, coalesce(sum(CASE WHEN e.reversed_at IS NULL THEN e.fee ELSE 0 END), 0))
        FROM auto_trades t LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id HAVING t.fees <> coalesce(sum(CASE WHEN e.reversed_at IS NULL THEN e.fee ELSE 0 END), 0)""",
    "trade profit = Σ executions": """
        SELECT format('trade %%s: realised profit is %%s, executions say %%s',
                      t.id, t.realised_pnl, coalesce(sum(e.realised_pnl + e.reversal_pnl), 0))
        FROM auto_trades t LEFT JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id HAVING t.realised_pnl <> coalesce(sum(e.realised_pnl + e.reversal_pnl), 0)""",
    "executed price = mean of executions": """
        SELECT format('trade %%s: executed price is %%s, the mean of its executions %%s',
                      t.id, t.executed_price, sum(e.quantity * e.price) / sum(e.quantity))
        FROM auto_trades t JOIN trading_execution e ON e.trade_id = t.id
        GROUP BY t.id
        HAVING t.executed_price IS NULL
            OR abs(t.executed_price - sum(e.quantity * e.price) / sum(e.quantity)) > 0.0000001""",
    "portfolio profit = Σ executions, splits and income": """
        SELECT format('portfolio %%s: realised profit is %%s, executions, splits and income say %%s',
                      p.id, p.realised_pnl, coalesce(e.pnl, 0) + coalesce(b.pnl, 0) + coalesce(i.pnl, 0))
        FROM portfolios_portfolio p LEFT JOIN (
            SELECT t.portfolio_id, sum(e.realised_pnl + e.reversal_pnl - CASE WHEN e.reversed_at IS NULL THEN e.fee ELSE 0 END) AS pnl
            FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id GROUP BY t.portfolio_id) e
            ON e.portfolio_id = p.id
        LEFT JOIN (
            SELECT portfolio_id, sum(realised_pnl + reversal_pnl) AS pnl
            FROM portfolios_corporateactionbooking GROUP BY portfolio_id) b ON b.portfolio_id = p.id
        LEFT JOIN (
            SELECT l.portfolio_id, sum(CASE WHEN l.debit_account = 'cash' THEN l.amount ELSE -l.amount END) AS pnl
            FROM ledger_transfers l LEFT JOIN ledger_transfers r ON r.id = l.reverses_id
            WHERE 'income' IN (l.debit_account, l.credit_account) OR coalesce(r.kind, l.kind) = 'broker_fee'
            GROUP BY l.portfolio_id) i
            ON i.portfolio_id = p.id
        WHERE p.realised_pnl <> coalesce(e.pnl, 0) + coalesce(b.pnl, 0) + coalesce(i.pnl, 0)""",
    "position profit = Σ executions and splits": """
        SELECT format('portfolio %%s instrument %%s: realised profit is %%s, executions and splits say %%s',
                      p.portfolio_id, p.instrument_id, p.realised_pnl, coalesce(e.pnl, 0) + coalesce(b.pnl, 0))
        FROM portfolios_position p LEFT JOIN (
            SELECT t.portfolio_id, t.instrument_id, sum(e.realised_pnl + e.reversal_pnl) AS pnl
            FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
            GROUP BY t.portfolio_id, t.instrument_id) e
            ON e.portfolio_id = p.portfolio_id AND e.instrument_id = p.instrument_id
        LEFT JOIN (
            SELECT b.portfolio_id, a.instrument_id, sum(b.realised_pnl + b.reversal_pnl) AS pnl
            FROM portfolios_corporateactionbooking b JOIN market_corporateaction a ON a.id = b.action_id
            GROUP BY b.portfolio_id, a.instrument_id) b
            ON b.portfolio_id = p.portfolio_id AND b.instrument_id = p.instrument_id
        WHERE p.realised_pnl <> coalesce(e.pnl, 0) + coalesce(b.pnl, 0)""",
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
        SELECT format('session %%s: totals are %%s trades, %%s successful, %%s; executions say %%s, %%s, %%s',
                      s.id, s.total_trades, s.successful_trades, s.total_pnl,
                      coalesce(n.trades, 0), coalesce(n.successful, 0), coalesce(n.pnl, 0))
        FROM trading_sessions s LEFT JOIN (
            SELECT session_id, count(*) AS trades, sum(pnl) AS pnl,
                   count(*) FILTER (WHERE trade_type = 'sell' AND pnl > 0) AS successful
            FROM (
                SELECT t.session_id, t.trade_type,
                       sum(e.realised_pnl + e.reversal_pnl - CASE WHEN e.reversed_at IS NULL THEN e.fee ELSE 0 END) AS pnl
                FROM auto_trades t JOIN trading_execution e ON e.trade_id = t.id GROUP BY t.id) t
            GROUP BY session_id) n ON n.session_id = s.id
        WHERE (s.total_trades, s.successful_trades, s.total_pnl)
            <> (coalesce(n.trades, 0), coalesce(n.successful, 0), coalesce(n.pnl, 0))""",
    "a reversal mirrors what it reverses": """
        SELECT format('transfer %%s: does not mirror transfer %%s', l.id, r.id)
        FROM ledger_transfers l JOIN ledger_transfers r ON r.id = l.reverses_id
        WHERE (l.portfolio_id, l.debit_account, l.credit_account, l.asset, l.amount, l.execution_id, l.kind)
                <> (r.portfolio_id, r.credit_account, r.debit_account, r.asset, r.amount, r.execution_id, 'reversal')
            OR l.instrument_id IS DISTINCT FROM r.instrument_id OR r.kind = 'reversal'""",
    "an entry is reversed whole": """
        SELECT format('entry %%s: %%s of its %%s transfers are reversed', l.entry_id, count(r.id), count(*))
        FROM ledger_transfers l LEFT JOIN ledger_transfers r ON r.reverses_id = l.id
        WHERE EXISTS (SELECT FROM ledger_transfers x JOIN ledger_transfers y ON y.reverses_id = x.id
                      WHERE x.entry_id = l.entry_id)
        GROUP BY l.entry_id HAVING count(r.id) <> count(*)""",
    "executions know of their reversals": """
        SELECT format('execution %%s: reversed at %%s, reversing transfers in the ledger: %%s',
                      e.execution_id, coalesce(e.reversed_at::text, 'no time'), count(l.id))
        FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id
        LEFT JOIN ledger_transfers l ON l.execution_id = e.execution_id AND l.portfolio_id = t.portfolio_id
            AND l.kind = 'reversal'
        GROUP BY e.id HAVING (e.reversed_at IS NULL) <> (count(l.id) = 0)""",
}

# Of each action and portfolio, the units just before the ex time.
_HELD_BEFORE = """
            SELECT a.id AS action_id, l.portfolio_id,
                   sum(CASE WHEN l.debit_account = 'holdings' THEN l.amount ELSE -l.amount END) AS units
            FROM market_corporateaction a
            JOIN ledger_transfers l ON l.instrument_id = a.instrument_id AND l.market_at < a.ex_at
                AND 'holdings' IN (l.debit_account, l.credit_account)
            GROUP BY a.id, l.portfolio_id"""

CORPORATE_ACTIONS: dict[str, str] = {
    "dividends pay quantity × amount": """
        SELECT format('portfolio %%s: %%s on %%s units are %%s, the ledger paid %%s',
                      b.portfolio_id, a.amount, b.quantity, round(b.quantity * a.amount, 2), coalesce(sum(l.amount), 0))
        FROM portfolios_corporateactionbooking b JOIN market_corporateaction a ON a.id = b.action_id
        LEFT JOIN ledger_transfers l ON l.entry_id = b.entry_id AND l.kind = 'dividend'
            AND (l.debit_account, l.credit_account) = ('cash', 'income')
        WHERE a.kind = 'dividend' AND b.booked_at IS NOT NULL AND NOT b.paid_by_broker
        GROUP BY b.id, a.id HAVING coalesce(sum(l.amount), 0) <> round(b.quantity * a.amount, 2)""",
    "splits give new for old": """
        SELECT format('portfolio %%s: %%s:%%s on %%s units: the ledger says %%s units afterwards',
                      b.portfolio_id, a.new_units, a.old_units, b.quantity, b.quantity + coalesce(l.added, 0))
        FROM portfolios_corporateactionbooking b JOIN market_corporateaction a ON a.id = b.action_id
        LEFT JOIN (
            SELECT entry_id, sum(CASE WHEN debit_account = 'holdings' THEN amount ELSE -amount END) AS added
            FROM ledger_transfers WHERE kind = 'split' GROUP BY entry_id) l ON l.entry_id = b.entry_id
        WHERE a.kind = 'split' AND b.booked_at IS NOT NULL AND b.quantity + coalesce(l.added, 0)
            <> div(b.quantity * 100000000 * a.new_units, a.old_units) / 100000000""",
    "cash in lieu = fraction × price": """
        SELECT format('portfolio %%s: a fraction of %%s at %%s was paid %%s', b.portfolio_id, l.units,
                      a.cash_in_lieu_price, l.cash)
        FROM portfolios_corporateactionbooking b JOIN market_corporateaction a ON a.id = b.action_id JOIN (
            SELECT entry_id, coalesce(sum(amount) FILTER (WHERE instrument_id IS NOT NULL), 0) AS units,
                   coalesce(sum(amount) FILTER (WHERE instrument_id IS NULL), 0) AS cash
            FROM ledger_transfers WHERE kind = 'cash_in_lieu' GROUP BY entry_id) l ON l.entry_id = b.entry_id
        WHERE l.cash IS DISTINCT FROM round(l.units * a.cash_in_lieu_price, 2)""",
    "income and splits belong to corporate actions": """
        SELECT format('transfer %%s: a %%s of entry %%s, which no corporate action has booked', l.id, l.kind, l.entry_id)
        FROM ledger_transfers l LEFT JOIN portfolios_corporateactionbooking b
            ON b.entry_id = l.entry_id AND b.portfolio_id = l.portfolio_id
        WHERE l.kind IN ('dividend', 'split', 'cash_in_lieu') AND b.id IS NULL AND NOT EXISTS (
            SELECT FROM trading_brokeractivity x WHERE x.entry_id = l.entry_id)""",
    "corporate actions know of their reversals": """
        SELECT format('entry %%s: reversed at %%s, reversing transfers in the ledger: %%s',
                      b.entry_id, coalesce(b.reversed_at::text, 'no time'), count(r.id))
        FROM portfolios_corporateactionbooking b
        LEFT JOIN ledger_transfers l ON l.entry_id = b.entry_id LEFT JOIN ledger_transfers r ON r.reverses_id = l.id
        GROUP BY b.id HAVING (b.reversed_at IS NULL) <> (count(r.id) = 0)""",
    "entitlements are what was held": """
        SELECT format('portfolio %%s: %%s was booked for %%s units, the ledger says that %%s were held before %%s',
                      b.portfolio_id, a.external_id, b.quantity, coalesce(h.units, 0), a.ex_at)
        FROM portfolios_corporateactionbooking b JOIN market_corporateaction a ON a.id = b.action_id
        LEFT JOIN ("""
    + _HELD_BEFORE
    + """) h ON h.action_id = b.action_id AND h.portfolio_id = b.portfolio_id
        WHERE b.entry_id IS NOT NULL AND b.reversed_at IS NULL AND b.quantity <> coalesce(h.units, 0)""",
    "nobody is left out of a corporate action": """
        SELECT format('portfolio %%s: held %%s of instrument %%s before %%s and has not got %%s',
                      h.portfolio_id, h.units, a.instrument_id, a.ex_at, a.external_id)
        FROM market_corporateaction a
        JOIN portfolios_corporateactionsettlement s ON s.action_id = a.id AND s.finished_at IS NOT NULL
        JOIN ("""
    + _HELD_BEFORE
    + """) h ON h.action_id = a.id AND h.units > 0
        WHERE a.withdrawn_at IS NULL AND NOT EXISTS (
            SELECT FROM portfolios_corporateactionbooking b
            WHERE b.action_id = a.id AND b.portfolio_id = h.portfolio_id AND b.booked_at IS NOT NULL
                AND (b.entry_id IS NOT NULL AND b.reversed_at IS NULL OR b.quantity = h.units))""",
}

ORDERS: dict[str, str] = {
    "an intent has one client order id": """
        SELECT format('client order id %%s: %%s trades', client_order_id, count(*))
        FROM auto_trades GROUP BY client_order_id HAVING count(*) > 1 OR client_order_id = ''""",
    "one trade per session, slot and instrument": """
        SELECT format('session %%s slot %%s instrument %%s: %%s trades', session_id, slot, instrument_id, count(*))
        FROM auto_trades WHERE session_id IS NOT NULL AND origin = 'rule'
        GROUP BY session_id, slot, instrument_id HAVING count(*) > 1""",
    "one evaluation per slice and slot": """
        SELECT format('slice %%s slot %%s: %%s evaluations', slice_id, slot, count(*))
        FROM trading_sessions_evaluationrun GROUP BY slice_id, slot, decided_after HAVING count(*) > 1""",
    "an execution is booked once": """
        SELECT format('account %%s execution %%s: booked %%s times', account_id, execution_id, count(*))
        FROM trading_execution GROUP BY account_id, execution_id HAVING count(*) > 1""",
    "the status of a trade is known and fits its fills": """
        SELECT format('trade %%s: is %%s with %%s of %%s filled', id, status, filled_quantity, quantity)
        FROM auto_trades
        WHERE status <> ALL (ARRAY["""
    + _STATES
    + """])
            OR (status = 'filled') <> (filled_quantity = quantity)
            OR status = 'partially_filled' AND filled_quantity = 0
            OR status = 'pending' AND filled_quantity > 0""",
}

AT_BROKERS: dict[str, str] = {
    "an execution is of its trade's account": """
        SELECT format('execution %%s: of account %%s, its trade %%s of %%s', e.execution_id, e.account_id, t.id, t.account_id)
        FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id WHERE e.account_id <> t.account_id""",
    "a trade is of its portfolio's account": """
        SELECT format('trade %%s: of portfolio %%s and account %%s, which serves %%s', t.id, t.portfolio_id, a.id, a.portfolio_id)
        FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
        WHERE a.portfolio_id <> t.portfolio_id""",
    "what works at a broker has the broker's id": """
        SELECT format('trade %%s: is %%s at %%s, whose id for it is not known', t.id, t.status, a.broker)
        FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
        WHERE a.broker <> 'paper' AND t.status IN ('accepted', 'partially_filled') AND t.broker_order_id = ''""",
    "a broker's order is one trade's": """
        SELECT format('account %%s order %%s: %%s trades', account_id, broker_order_id, count(*))
        FROM auto_trades WHERE broker_order_id <> ''
        GROUP BY account_id, broker_order_id HAVING count(*) > 1""",
    # One that turned up after it was given up has what was free then. What a buy at market may cost was reserved by the
    # ask, which the trade does not tell: half of the last price is less than that in any market that is one.
    "what is in doubt stays reserved": """
        SELECT format('trade %%s is %%s, and %%s is reserved for what may still be filled of it', t.id, t.status,
                      CASE WHEN r.owner_id IS NULL THEN 'nothing' ELSE 'less' END)
        FROM auto_trades t LEFT JOIN portfolios_reservation r ON r.owner_id = t.id
        WHERE t.status IN ('unknown', 'quarantined') AND (
            r.owner_id IS NULL
            OR CASE t.trade_type
                WHEN 'sell' THEN r.quantity < t.quantity - t.filled_quantity
                ELSE r.cash < (t.quantity - t.filled_quantity)
                              * coalesce(t.limit_price, t.stop_price, t.trigger_price / 2) - 0.01
            END AND NOT EXISTS (
                SELECT FROM journal_entries e WHERE e.stream_id = t.portfolio_id AND e.kind = 'trade.turned_up'
                    AND e.payload::jsonb ->> 'trade_id' = t.id::text))""",
    "an open break halts its account": """
        SELECT format('account %%s: %%s breaks are open and no halt is in force', b.account_id, count(*))
        FROM trading_reconciliationbreak b
        WHERE b.ended_at IS NULL AND NOT EXISTS (
            SELECT FROM trading_halt h WHERE h.scope = 'account' AND h.scope_id = b.account_id::text
                AND (h.mode = 'halt' OR b.kind IN ('cash', 'activity')) AND h.released_at IS NULL)
        GROUP BY b.account_id""",
}

CHECKS = FILLS | CORPORATE_ACTIONS | ACTIVITIES | ORDERS | AT_BROKERS
