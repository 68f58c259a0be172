"""What a worker pays in every evaluation to have its program: `rules.services.programs.compiled_program`."""

import os
import statistics
from collections.abc import Hashable, Iterable, Sequence
from unittest.mock import patch

import django
from django.apps import apps

from benchmarks.rules.rule_set import Rule, mixed_rules
from benchmarks.rules.world import owner_names
from benchmarks.timing import seconds_of_each

# The settings want addresses; nothing connects to them.
_NO_SERVERS = {
    "DJANGO_SETTINGS_MODULE": "autotrading_project.settings",
    "SECRET_KEY": "only-for-benchmarks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG",
    "DATABASE_URL": "postgres://none:none@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "DATA_DIR": "/nonexistent",
    "READ_DOT_ENV": "0",
}


def time_kept_programs(rules: Sequence[Rule], *, owners: int, runs: int) -> tuple[float, float]:
    """Median seconds with nothing changed since the last time, and with one rule changed each time.

    Reading the changed rule from the database is not in it. Who owns which version is
    made anew for every run, as it is read anew for every evaluation; that is not timed.
    """
    if not apps.ready:
        with patch.dict(os.environ, _NO_SERVERS):
            django.setup()
    from rules.models import RuleVersion  # noqa: PLC0415  needs the settings
    from rules.services.programs import compiled_program  # noqa: PLC0415  needs the settings

    stored = {
        key: RuleVersion(pk=key, **{name: value for name, value in rule.items() if name != "name"})
        for key, rule in enumerate([*rules, *mixed_rules(3, runs)])
    }
    keys = list(range(len(rules)))

    def owned() -> dict[int, Hashable]:
        names = owner_names(owners)
        return {key: names[place % owners] for place, key in enumerate(keys)}

    def ask(given: dict[int, Hashable]) -> object:
        return compiled_program(given, name="benchmark")

    def read(version_ids: Iterable[int]) -> dict[int, RuleVersion]:
        return {key: stored[key] for key in version_ids}

    with patch("rules.services.programs.contents_by_id", read):
        ask(owned())
        unchanged = seconds_of_each(ask, (owned() for _ in range(runs)))
        changed = []
        for run in range(runs):
            keys[run * len(rules) // runs] = len(rules) + run
            changed += seconds_of_each(ask, [owned()])
    return statistics.median(unchanged), statistics.median(changed)
