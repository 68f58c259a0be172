"""JSON in which every number is a Decimal, as money wants it."""

import json
from decimal import Decimal
from typing import Any


def parse(raw: bytes | str) -> Any:
    """JSON with numbers as Decimal; what Python lets pass as NaN and Infinity becomes such a Decimal, which no check
    of ours lets pass. Raises ValueError, RecursionError."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
    except ArithmeticError as error:  # an exponent beyond any Decimal
        raise ValueError("a number is beyond all bounds") from error
