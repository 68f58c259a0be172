"""The documents that other people's programs are written against, made of the code.

This room may import all the others, so it is here that they are put together.
"""

import argparse
from collections.abc import Callable, Mapping
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.problem_codes import problems_page
from foundation.api.document import openapi_json
from journal.asyncapi import asyncapi_yaml
from journal.core.kinds import KINDS

ROOT = Path(__file__).resolve().parents[3]
DIFFERENCE_LINES_MAX = 60
CONTRACTS: Mapping[str, Callable[[], str]] = {
    "docs/asyncapi.yaml": lambda: asyncapi_yaml(KINDS.values()),
    "docs/openapi.json": openapi_json,
    "docs/problems.md": problems_page,
}
"""Each file, below the checkout, and what makes its text."""


class Command(BaseCommand):
    help = f"Write {', '.join(CONTRACTS)} anew from the code. Needs no server."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; fail where a file is not what the code says"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        differing = [
            name
            for name, make in CONTRACTS.items()
            if self._differs(name, make(), write=not options["check"])
        ]
        if differing and options["check"]:
            raise CommandError(
                f"{' and '.join(differing)}: not what the code says. Run `manage.py write_contracts` and commit it; "
                "programs elsewhere may rely on what changes."
            )

    def _differs(self, name: str, text: str, *, write: bool) -> bool:
        file = ROOT / name
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if before == text:
            return False
        difference = unified_diff(
            before.splitlines(), text.splitlines(), name, f"{name} of the code", lineterm=""
        )
        self.stdout.write("\n".join(islice(difference, DIFFERENCE_LINES_MAX)))
        if write:
            file.write_text(text, encoding="utf-8")
        return True
