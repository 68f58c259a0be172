"""What the books must say of the money that brokers moved outside of orders. See `verification_queries.py`."""

ACTIVITIES: dict[str, str] = {
    "one entry in the ledger for each activity of a broker": """
        SELECT format('activity %%s: its amount is %%s, the ledger moved %%s by entry %%s',
                      a.activity_id, a.amount, coalesce(l.amount, 0), a.entry_id)
        FROM trading_brokeractivity a JOIN portfolios_brokeraccount b ON b.id = a.account_id LEFT JOIN (
            SELECT portfolio_id, entry_id,
                   sum(CASE WHEN debit_account = 'cash' THEN amount
                            WHEN credit_account = 'cash' THEN -amount ELSE 0 END) AS amount
            FROM ledger_transfers GROUP BY portfolio_id, entry_id) l
            ON l.entry_id = a.entry_id AND l.portfolio_id = b.portfolio_id
        WHERE a.entry_id IS NOT NULL AND coalesce(l.amount, 0) <> a.amount""",
    "what a broker charges and pays is one of its activities": """
        SELECT format('transfer %%s: a %%s of entry %%s, which no activity has booked', l.id, l.kind, l.entry_id)
        FROM ledger_transfers l
        WHERE l.kind IN ('broker_fee', 'interest') AND NOT EXISTS (
            SELECT FROM trading_brokeractivity a JOIN portfolios_brokeraccount b ON b.id = a.account_id
            WHERE a.entry_id = l.entry_id AND b.portfolio_id = l.portfolio_id)""",
}
