"""What is stored of the controls' answers is the canonical JSON of the rows that people are told."""

from decimal import Decimal as D

import pytest

from foundation.core.canonical import canonical_json
from trading.core.risk import Finding, RefusalCode, findings_as_rows, findings_text

CODE = RefusalCode.MAX_ORDER_VALUE
FINDINGS = (
    Finding(CODE, True, D("12500.00"), D("1E+4"), limit_name="max_order_value"),
    Finding(CODE, False, D("12500"), D(10000), limit_name="max_order_value"),
    Finding(CODE, True, 1, 0), Finding(CODE, True, D(1), D(0)), Finding(CODE, False, D("NaN"), D("Infinity")),
    Finding(CODE, True, "open", "open", 'a note with "quotes" and ü'),
)  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_the_text_is_that_of_the_rows_however_often_it_is_asked_for(order: int) -> None:
    findings = FINDINGS[::order]
    assert findings_text(findings) == findings_text(findings) == canonical_json(findings_as_rows(findings))
