"""The page docs/risk-controls.md, made from the controls and limits themselves.

    python -m trading.documentation > docs/risk-controls.md

The words stand in `risk_controls.template.md`; what can be computed is put in here, so the page cannot lag behind.
A test holds the committed page equal to this.
"""

import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from string import Template

from foundation.core.canonical import plain_decimal
from portfolios.core.limits import CATALOGUE, SCOPES, SPECS, LimitSpec
from trading.core.breakers import BREAKERS
from trading.core.controls import CONTROLS, Control
from trading.core.halts import SCOPES as HALT_SCOPES
from trading.core.risk import Finding, RefusalCode, refused

TEMPLATE = Path(__file__).parent / "risk_controls.template.md"


def risk_controls() -> str:
    """The whole page as Markdown."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        example=_example(),
        scopes=", ".join(SCOPES),
        halt_scopes=", ".join(HALT_SCOPES),
        controls=_controls(),
        limits=_limits(),
        breakers=_breakers(),
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _example() -> str:
    finding = Finding(RefusalCode.MAX_ORDER_VALUE, False, Decimal(12_500), Decimal(10_000))
    return refused(finding, (finding,)).detail


def _controls() -> str:
    head = ("", "code", "refuses when", "limit, and the platform's default", "applies to a reduction", "from")
    rows = (
        (
            str(number),
            f"`{control.code}`",
            control.refuses,
            _limits_of(control),
            control.reductions.value,
            control.anchor,
        )
        for number, control in enumerate(CONTROLS, start=1)
    )
    return _table(head, rows)


def _limits_of(control: Control) -> str:
    return "; ".join(f"`{name}`: {_default(SPECS[name])}" for name in control.limits)


def _default(spec: LimitSpec) -> str:
    return f"{_number(spec.default)} {spec.unit}"


def _number(value: Decimal | None) -> str:
    """Thousands grouped, no trailing zeros."""
    if value is None:
        return ""
    whole, _, part = plain_decimal(value).partition(".")
    return f"{int(whole):,}" + (f".{part}" if part else "")


def _limits() -> str:
    head = ("limit", "meaning", "unit", "default", "tighter", "open end", "asked by")
    rows = (
        (
            f"`{spec.name}`",
            spec.meaning,
            spec.unit,
            _number(spec.default),
            "higher" if spec.higher_is_tighter else "lower",
            _number(spec.open_end),
            ", ".join(f"`{code}`" for code in _codes_that_ask(spec.name)) or "no order",
        )
        for spec in CATALOGUE
    )
    return _table(head, rows)


def _codes_that_ask(name: str) -> list[str]:
    return list(dict.fromkeys(control.code.value for control in CONTROLS if name in control.limits))


def _breakers() -> str:
    head = ("breaker", "stops the", "trips when", "limit, and the platform's default", "looked at", "episode")
    rows = (
        (
            f"`{spec.breaker}`",
            spec.stops,
            spec.trips,
            f"`{spec.limit}`: {_default(SPECS[spec.limit])}" if spec.limit else "none",
            spec.looked_at,
            spec.episode,
        )
        for spec in BREAKERS
    )
    return _table(head, rows)


if __name__ == "__main__":
    sys.stdout.write(risk_controls())
