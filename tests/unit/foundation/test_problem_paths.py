"""`errors` of a problem says where: paths of the body that was sent, and no word that stands nowhere in it."""

import pytest

from foundation.api.problems import flat_errors


@pytest.mark.parametrize(
    ("detail", "paths"),
    [
        ({"amount": ["Too small."]}, ["amount"]),
        ({"actions": [{}, {"type": ["Unknown."]}]}, ["actions[1].type"]),
        ({"items": {2: {"symbol": ["Missing."]}}}, ["items[2].symbol"]),
        # the body is no object at all
        ({"non_field_errors": ["Expected a dictionary."]}, [""]),
        # a part of it is none, or two of its fields do not go together
        ({"limits": {"non_field_errors": ["Expected a dictionary."]}}, ["limits"]),
    ],
)
def test_a_path_is_one_of_the_body(detail: dict[str, object], paths: list[str]) -> None:
    assert [row["path"] for row in flat_errors(detail)] == paths
