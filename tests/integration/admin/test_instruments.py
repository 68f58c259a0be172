"""Instruments are read-only in the admin, but for their tags."""

import pytest
from django.urls import reverse

from market.models import Instrument

pytestmark = pytest.mark.integration
SENT = {"_form_submitted": "True"}


def set_tags(page, row, tags):
    return page.post(reverse("admin:market_instrument_tag", args=[row.pk]), SENT | {"tags": tags})


def test_tags_are_set_by_the_dialog_and_found_by_the_list(admin_page, everything):
    row = Instrument.objects.first()
    assert set_tags(admin_page, row, "dividend, large-cap dividend").status_code == 200
    row.refresh_from_db()
    assert row.tags == ["dividend", "large-cap"]
    page = admin_page.get(reverse("admin:market_instrument_changelist"), {"q": "large-c"})
    assert [shown.pk for shown in page.context["cl"].result_list] == [row.pk]
    assert "dividend, large-cap" in page.content.decode()


def test_a_bad_tag_is_refused_with_its_cure(admin_page, everything):
    row = Instrument.objects.first()
    answer = set_tags(admin_page, row, "Dividend")
    assert "small letters" in admin_page.get(answer["HX-Redirect"]).content.decode()
    row.refresh_from_db()
    assert row.tags == []
