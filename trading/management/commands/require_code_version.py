from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.errors import DomainError
from foundation.version import code_version
from trading.services.fleet import fleet, require_code_version, required_version


class Command(BaseCommand):
    help = (
        "Let only workers of one version of the code trade; without an option, show which one and who runs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument("version", nargs="?", help="as the heartbeats show it, or CODE_VERSION says it")
        chosen.add_argument("--this", action="store_true", help="the version of these files")
        chosen.add_argument("--none", action="store_true", help="any version may trade")

    def handle(self, *args: Any, **options: Any) -> None:
        version = code_version() if options["this"] else options["version"]
        if version is not None or options["none"]:
            try:
                require_code_version(version=version, actor=None)
            except DomainError as error:
                raise CommandError(error.detail) from error
        required = required_version()
        self.stdout.write(
            f"required: {required.version if required is not None else 'any'}; here: {code_version()}"
        )
        for member in fleet():
            idle = required is not None and member.code_version != required.version
            note = "  (trades nothing)" if idle else ""
            self.stdout.write(f"{member.component}  {member.instance}  {member.code_version}{note}")
