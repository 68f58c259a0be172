"""A broker for tests: a process that speaks Alpaca's trading protocol, and misbehaves when told to.

    python -m tests.simulator --port 8399 --log /tmp/broker.jsonl --seed 7

It is the independent witness of the fault tests, so it knows nothing of the product: no Django, no database, not one
import from it. What it did is in its log, one JSON line an event, written before anybody can see the effect;
`witness.py` reads it back.

    clock.py      nanoseconds, and how Alpaca writes them
    log.py        the log
    orders.py     an order and how it is told; what Alpaca refuses, in its words
    accounts.py   an account: cash, positions, orders
    book.py       everything that happens to orders, each thing logged and told
    market.py     quotes, set by a test or walking from a seed
    matching.py   which orders fill, when and at what price
    mischief.py   what goes wrong, by script
    wire.py       HTTP/1.1 by hand, so that a connection can hang, dribble and break
    rest.py       /v2: the routes of Alpaca
    stream.py     /stream: the WebSocket
    control.py    /control: what a test can do
    server.py     all of it together
    market_data.py  another process: market data
    witness.py    what the log says

The protocol is that of docs.alpaca.markets (orders, account activities, trade_updates) and of the models of alpaca-py.
What a recording of Alpaca's paper API showed in 2026, and the pages do not say, is kept as recorded: a new order is
answered `pending_new`; `order_class` of a simple order is ""; the time in an activity's id is New York's; `after` is
strict; cash is told in whole cents; code 40310000 stands for all that an account may not do.
Nothing published joins an activity's id to the stream's execution id, so here they have nothing in common: who relies
on it fails here first. Both tell how much of the order was filled by then (`cum_qty`, the order's `filled_qty`).
"""
