"""Compiled programs, kept in the process and refreshed by what changed since they were last asked for.

Versions are immutable, so the ids of the versions in force name a rule set: there is nothing to invalidate,
and a program that another process's change has made outdated is never used.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from threading import Lock

from django.conf import settings

from rules.core.actions import asks_for_trade, blocks_entries
from rules.core.conditions import InvalidConditionsError
from rules.core.program import Program, RuleSource, compile_program
from rules.models import RuleVersion
from rules.selectors import contents_by_id

RULES_KEPT_MAX = settings.PROGRAM_CACHE_RULES_MAX


@dataclass(frozen=True, slots=True)
class _Kept:
    """A program, and the owner of each version in it; `stamp`: what the caller knew it by. Or why there is none."""

    owners: Mapping[int, Hashable]
    program: Program | None
    stamp: bytes | None
    failure: InvalidConditionsError | None = None


_kept: OrderedDict[Hashable, _Kept] = OrderedDict()
_lock = Lock()


def compiled_program(
    owners: Mapping[int, Hashable], *, name: Hashable, stamp: bytes | None = None
) -> Program:
    """The program of rule versions, given as their ids and whose they are; a verdict's key is the id.

    The owner is whatever the caller keys the facts by (a session's id). `name` says
    whose program it is (a slice's), and so from which earlier one to go on: only what
    is new since is read and compiled. The order of the versions changes nothing but
    the order of the verdicts. Under its `stamp` it is found again by `known_program`.
    """
    with _lock:
        kept = _kept.get(name)
    # Outside the lock: two threads may compile the same, but nobody waits for another's slice.
    try:
        made = _Kept(dict(owners), _refreshed(kept, owners), stamp)
    except InvalidConditionsError as error:
        _keep(name, _Kept({}, None, stamp, error))
        raise
    _keep(name, made)
    assert made.program is not None
    return made.program


def _keep(name: Hashable, made: _Kept) -> None:
    with _lock:
        _kept[name] = made
        _kept.move_to_end(name)
        rules = sum(len(each.owners) for each in _kept.values())
        while rules > RULES_KEPT_MAX and len(_kept) > 1:
            rules -= len(_kept.popitem(last=False)[1].owners)


def known_program(*, name: Hashable, stamp: bytes) -> Program | None:
    """The program kept under this name, if it was compiled for the same stamp: then nobody has to ask which rules are
    in force. The caller's stamp must change with every change of them. Raises what compiling them raised, where it did:
    at the next tick nobody tries the same again."""
    with _lock:
        kept = _kept.get(name)
        if kept is None or kept.stamp != stamp:
            return None
        _kept.move_to_end(name)
    if kept.failure is not None:
        raise kept.failure.with_traceback(None)
    return kept.program


def _refreshed(kept: _Kept | None, owners: Mapping[int, Hashable]) -> Program:
    if kept is not None and kept.program is not None:
        if kept.owners == owners:
            return kept.program
        gone = [
            (owner, key) for key, owner in kept.owners.items() if key not in owners or owners[key] != owner
        ]
        new = {
            key: owner for key, owner in owners.items() if key not in kept.owners or kept.owners[key] != owner
        }
        if 2 * (len(gone) + len(new)) < len(owners):
            return kept.program.refreshed(remove=gone, add=_sources(new))
    return compile_program(_sources(owners))


def _sources(owners: Mapping[int, Hashable]) -> list[RuleSource]:
    versions = contents_by_id(owners)
    return [source_of(owner, versions[key]) for key, owner in owners.items()]


def source_of(owner: Hashable, version: RuleVersion) -> RuleSource:
    """A version as a program takes it; a verdict's key is its id."""
    return RuleSource(
        key=version.pk,
        owner=owner,
        rule_type=version.rule_type,
        conditions=version.conditions,
        trades=asks_for_trade(version.actions),
        schedule=version.schedule,
        blocks=blocks_entries(version.actions),
    )
