from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from foundation.core.canonical import canonical_json, plain_decimal
from foundation.core.money import as_decimal, round_quantity


def test_equal_values_have_one_text() -> None:
    berlin = timezone(timedelta(hours=1))
    one = {"b": Decimal("1.50"), "a": datetime(2020, 1, 1, 13, tzinfo=berlin), "c": UUID(int=1)}
    other = {"c": UUID(int=1), "a": datetime(2020, 1, 1, 12, tzinfo=UTC), "b": Decimal("1.5")}
    assert canonical_json(one) == canonical_json(other)
    assert canonical_json(one).startswith('{"a":"2020-01-01T12:00:00Z","b":"1.5"')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100.00", "100"),
        ("1E+2", "100"),
        ("0E-8", "0"),
        ("-0.00000010", "-0.0000001"),
        ("1.5E-10", "0.00000000015"),
    ],
)
def test_a_decimal_has_no_exponent_and_no_zeros_at_its_end(value: str, text: str) -> None:
    assert plain_decimal(Decimal(value)) == text


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), datetime(2020, 1, 1), {1: object()}])  # noqa: DTZ001
def test_what_has_no_one_text_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json({"x": value})


def test_rounding() -> None:
    assert round_quantity(Decimal("9.999"), Decimal(1)) == 9
    assert as_decimal(0.1) == Decimal("0.1")
    with pytest.raises(ValueError, match="finite"):
        as_decimal(float("inf"))
