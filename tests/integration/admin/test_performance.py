"""How a session does is seen from its page."""

import pytest
from django.urls import reverse

from portfolios.models import EquityPoint
from tests.integration.admin.conftest import MARKET_TIME, make_user
from trading.admin.performance import equity_picture

pytestmark = pytest.mark.integration


def page(admin_page, row):
    return admin_page.get(reverse("admin:trading_sessionperformance_change", args=[row.pk])).content.decode()


def test_a_sessions_page_leads_to_its_figures_and_its_curve(admin_page, everything):
    row = everything.session
    opened = admin_page.get(reverse("admin:trading_sessions_tradingsession_change", args=[row.pk]))
    assert reverse("admin:trading_sessionperformance_change", args=[row.pk]) in opened.content.decode()
    text = page(admin_page, row)
    assert "max drawdown percentage" in text and "sharpe ratio" in text
    assert "1,023 to 1,043" in text and "<polyline" in text
    assert reverse("admin:trading_sessions_tradingsession_change", args=[row.pk]) in text


def test_a_session_that_has_just_begun_has_no_picture(admin_page, trading_session):
    text = page(admin_page, trading_session)
    assert "max drawdown percentage" in text and "<polyline" not in text


def test_the_picture_reaches_from_the_lowest_to_the_highest(everything):
    points = [
        EquityPoint(at=MARKET_TIME.replace(hour=hour), cash=cash, exposure=0, cost=0, paid_in=100)
        for hour, cash in ((10, 100), (11, 300), (12, 200))
    ]
    assert 'points="0.0,200.0 400.0,0.0 800.0,100.0"' in equity_picture(points)
    assert 'points="0.0,200.0 400.0,200.0 800.0,200.0"' in equity_picture(points)
    flat = [EquityPoint(at=MARKET_TIME, cash=5, exposure=0, cost=0, paid_in=5)] * 2
    assert 'points="0.0,200.0 0.0,200.0"' in equity_picture(flat)


def test_who_may_not_see_it_does_not(client, everything):
    client.force_login(make_user("eve", is_staff=True))
    address = reverse("admin:trading_sessionperformance_change", args=[everything.session.pk])
    assert client.get(address).status_code == 403
