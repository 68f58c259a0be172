"""An exchange with another clock says by how much one's own is off at least, however long the exchange took."""

import pytest

from foundation.core.clocks import certainly_ahead


@pytest.mark.parametrize(
    ("before", "after", "theirs", "ahead"),
    [
        (100.0, 100.2, 100.1, 0.0),
        (100.0, 100.0, 100.0, 0.0),
        (100.0, 130.0, 100.1, 0.0),  # it took long, and tells nothing
        (103.0, 103.2, 100.1, 2.9),
        (97.0, 97.2, 100.2, -3.0),
        (97.0, 99.2, 100.2, -1.0),
    ],
)
def test_what_is_certain(before: float, after: float, theirs: float, ahead: float) -> None:
    assert certainly_ahead(before=before, after=after, theirs=theirs) == pytest.approx(ahead)
