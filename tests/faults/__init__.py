"""The fault campaign: everything that runs is killed, stopped and lied to while it trades, and then it is counted.

    make faults KILLS=2000 SEED=7

    market.py     prices that everybody can compute, and the feed's process with them
    scene.py      portfolios at the simulator, with rules and sessions, made by the real services
    processes.py  the processes, started again when they end
    servers.py    PostgreSQL and Valkey, killed and started again on the same ports
    points.py     the kill points: armed by token, and what died there
    mischief.py   what the simulator does wrong, in phases
    people.py     those who go on meanwhile: cancels, emergency stops, and a risk officer who explains breaks
    watching.py   what only shows while it lasts: signs of life, reservations, messages in a window
    killer.py     who is killed, when
    rows.py       what the killed ones had in hand, as the tables tell
    settle.py     the end: nothing is killed any more, and everything open is waited for
    evidence.py   what the simulator's log and our tables say, read once
    checks.py     lost, duplicated, guessed, breaches, invariants: pure functions over the evidence, which stand in
                  order_checks.py, limit_checks.py, book_checks.py
    recovery.py   how long it took after each kill
    campaign.py   all of it together

See docs/faults.md.
"""
