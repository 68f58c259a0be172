"""Compiled programs, kept in the process for as long as the rules in force stay the same.

Versions are immutable, so their ids name a program: there is nothing to invalidate.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from threading import Lock

from rules.core.actions import asks_for_trade
from rules.core.program import Program, RuleSource, compile_program
from rules.models import RuleVersion

PROGRAMS_MAX = 32

_Key = frozenset[tuple[Hashable, int]]
_programs: OrderedDict[_Key, Program] = OrderedDict()
_lock = Lock()


def compiled_program(owned: Sequence[tuple[Hashable, RuleVersion]]) -> Program:
    """The program of (owner, rule version) pairs; a verdict's key is the version's id.

    `owner` is whatever the caller keys the facts by (a session's id). The order of
    the pairs changes nothing: rules stand in the order of owner and version.
    """
    by_key = {(owner, version.pk): version for owner, version in owned}
    key = frozenset(by_key)
    with _lock:
        program = _programs.get(key)
        if program is not None:
            _programs.move_to_end(key)
            return program
    # Outside the lock: two threads may compile the same once, but nobody waits for another's slice.
    program = compile_program(
        [
            _source(owner, by_key[owner, pk])
            for owner, pk in sorted(by_key, key=lambda pair: (str(pair[0]), pair[1]))
        ]
    )
    with _lock:
        _programs[key] = program
        _programs.move_to_end(key)
        while len(_programs) > PROGRAMS_MAX:
            _programs.popitem(last=False)
    return program


def _source(owner: Hashable, version: RuleVersion) -> RuleSource:
    return RuleSource(
        key=version.pk,
        owner=owner,
        rule_type=version.rule_type,
        conditions=version.conditions,
        trades=asks_for_trade(version.actions),
    )
