"""A cursor that nobody was given leads to nothing, whatever number it holds."""

from base64 import b64encode

import pytest

from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("offset", "status"), [("1000000", 200), ("9" * 30, 404), ("-1", 404), ("many", 404)]
)
def test_an_offset_that_is_none_is_refused_and_one_beyond_the_end_is_empty(
    world: World, offset: str, status: int
) -> None:
    cursor = "symbol." + b64encode(f"o={offset}&p=AAA".encode()).decode()
    path = f"/api/auto-trading/trades/{world.desk.portfolio.id}"
    answer = world.as_("alice").get(path, {"ordering": "symbol", "cursor": cursor})
    assert answer.status_code == status, answer.content
    if status == 200:
        assert (answer.json()["results"], answer.json()["next"]) == ([], None)
