"""Of an approved order a decision keeps values and limits only, and is read as if it had kept every word."""

import json
from dataclasses import replace
from decimal import Decimal as D

import pytest

from foundation.core.canonical import canonical_json
from portfolios.core.limits import EffectiveLimits
from tests.harness.orders import BUY, LIMITS, SELL
from trading.core import kept_findings
from trading.core.controls import CONTROLS
from trading.core.kept_findings import LISTS, NEWEST, full_rows, kept_text
from trading.core.risk import Approved, Refused, RiskRequest, assess, findings_as_rows

APPROVED = {
    "a buy": BUY,
    "a sell": SELL,
    "a buy that rests on no recommendation": replace(BUY, recommendation_age_minutes=None),
    "without a cap": replace(BUY, capital_cap=None),
    "a sell whose prices nobody knows": replace(SELL, volatility=D("NaN"), equity=D("NaN")),
}


def _plain(rows: object) -> object:
    return json.loads(canonical_json(rows))


@pytest.mark.parametrize("name", APPROVED)
def test_nothing_is_lost_of_what_is_kept_in_short(name: str) -> None:
    verdict = assess(APPROVED[name])
    assert isinstance(verdict, Approved)
    kept = kept_text(verdict.findings)
    assert json.loads(kept)["controls"] == NEWEST
    assert full_rows(json.loads(kept)) == _plain(findings_as_rows(verdict.findings))
    assert len(kept) < 1_300 < len(canonical_json(findings_as_rows(verdict.findings)))


@pytest.mark.parametrize(
    "request_",
    [
        replace(BUY, halt="halt", halt_reason="somebody pressed it"),  # refused
        replace(
            SELL, limits=EffectiveLimits({**LIMITS, "max_order_value": None}, "platform:1")
        ),  # no limit is set
    ],
    ids=["refused", "approved without a limit"],
)
def test_what_does_not_fit_is_kept_in_full(request_: RiskRequest) -> None:
    findings = assess(request_).findings
    assert json.loads(kept_text(findings)) == _plain(findings_as_rows(findings))
    assert full_rows(json.loads(kept_text(findings))) == _plain(findings_as_rows(findings))


def test_the_newest_list_is_that_of_the_controls() -> None:
    assert [code for code, _ in LISTS[NEWEST]] == [control.code for control in CONTROLS]


def test_an_order_that_fits_another_list_is_kept_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a control was moved and nobody wrote a new list: nothing is told wrongly then."""
    moved = (*LISTS[NEWEST][1:], LISTS[NEWEST][0])
    monkeypatch.setattr(kept_findings, "LISTS", {NEWEST: moved})
    findings = assess(BUY).findings
    assert json.loads(kept_text(findings)) == _plain(findings_as_rows(findings))


def test_refusals_carry_every_finding() -> None:
    verdict = assess(replace(BUY, halt="halt"))
    assert isinstance(verdict, Refused)
    assert len(full_rows(json.loads(kept_text(verdict.findings)))) == len(CONTROLS)
