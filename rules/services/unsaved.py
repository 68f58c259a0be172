"""Rules that nobody has stored: judged as any other, and what they say as a version that is in no table."""

from typing import Any

from foundation.errors import InvalidInput
from rules.models import RuleVersion, TradingRule
from rules.services.rule_engine import validate_rule

UNSAVED_ID = -1


def unsaved_version(content: object, *, path: str, rule: TradingRule | None = None) -> RuleVersion:
    """What `content` says, as a version of `rule`. `path` is where it stood in the request.

    Raises InvalidInput with every fault, each with its path below `path`.
    """
    result = validate_rule(content)
    if result.rule is None:
        errors = [_below(path, error) for error in result.error_dicts()]
        count = len(errors)
        raise InvalidInput(f"The rule has {count} {'fault' if count == 1 else 'faults'}.", errors=errors)
    version = RuleVersion(pk=UNSAVED_ID, version=0, **result.rule)
    if rule is not None:
        version.rule = rule
    return version


def _below(path: str, error: dict[str, Any]) -> dict[str, Any]:
    return {**error, "path": f"{path}.{error['path']}" if error["path"] else path}
