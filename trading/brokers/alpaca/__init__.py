"""Alpaca's Trading API v2: orders by REST, executions by its trade-updates socket.

wire.py         one HTTP exchange over sockets that end with a deadline (`foundation/sockets.py`), sent once
reading.py      numbers, times and words of an answer, checked one by one
translation.py  Alpaca's orders, fills, positions and accounts in our words; the table of its statuses
activities.py   what moves an account's cash outside of orders, in our words; the table of its types
asking.py       questions whose answers come in pages
broker.py       the protocol's `Broker`
stream.py       its `ExecutionStream`

Written after https://docs.alpaca.markets (orders, account activities, websocket streaming) without Alpaca's own client,
which has no HTTP timeout and repeats a POST by itself.
"""
