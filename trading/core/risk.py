"""The last word before an order exists: Approved, or Refused with a stable code and its numbers."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from foundation.core.canonical import json_string, plain_decimal
from foundation.core.money import round_money
from trading.core.controls import CONTROLS
from trading.core.verdicts import Approved, Finding, RefusalCode, Refused, RiskRequest

__all__ = [
    "Approved",
    "Finding",
    "RefusalCode",
    "Refused",
    "RiskRequest",
    "assess",
    "finding_text",
    "findings_as_rows",
    "findings_text",
]


def assess(request: RiskRequest) -> Approved | Refused:
    """Run every control in order; the first that fails gives the code, and all findings are kept."""
    findings = tuple(control.check(request) for control in CONTROLS)
    failed = next((finding for finding in findings if not finding.passed), None)
    if failed is None:
        return Approved(request=request, findings=findings)
    return refused(failed, findings)


def refused(failed: Finding, findings: tuple[Finding, ...]) -> Refused:
    """By the first of the findings that did not pass."""
    return Refused(code=failed.code, detail=_detail(failed), findings=findings)


@lru_cache(maxsize=65_536, typed=True)  # limits are the same few
def finding_text(value: Any) -> str:
    """Numbers without trailing zeros, to 8 places; infinities by name."""
    if isinstance(value, Decimal) and value.is_finite():
        return plain_decimal(round_money(value))
    return str(value)


# Codes that stand for several limits say which one it was.
_AMBIGUOUS = {code for code, count in Counter(c.code for c in CONTROLS if c.limits).items() if count > 1}


def _detail(finding: Finding) -> str:
    notes = [finding.note, finding.limit_name if finding.code in _AMBIGUOUS else ""]
    more = "; ".join(note for note in notes if note)
    text = f"{finding.code}: value={finding_text(finding.value)} limit={finding_text(finding.limit)}"
    return f"{text} ({more})" if more else text


@lru_cache(maxsize=65_536)
def _finding_text(finding: Finding, passed: bool) -> str:
    """`passed` apart: True and 1 are one key of a cache."""
    named = f'"limit_name":{json_string(finding.limit_name)},' if finding.limit_name else ""
    noted = f'"note":{json_string(finding.note)},' if finding.note else ""
    return (
        f'{{"code":"{finding.code.value}","limit":{json_string(finding_text(finding.limit))},{named}{noted}'
        f'"passed":{"true" if passed else "false"},"value":{json_string(finding_text(finding.value))}}}'
    )


def findings_text(findings: tuple[Finding, ...]) -> str:
    """The same as canonical JSON; most findings of an order are word for word those of the order before."""
    return f"[{','.join(_finding_text(finding, finding.passed) for finding in findings)}]"


def findings_as_rows(findings: tuple[Finding, ...]) -> list[Mapping[str, Any]]:
    """For the decision record: numbers as text, infinities included."""
    return [{**f.as_dict(), "value": finding_text(f.value), "limit": finding_text(f.limit)} for f in findings]
