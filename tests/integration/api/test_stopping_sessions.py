"""Over REST, who stops a session may say that it keeps what its config says is to be sold."""

import pytest

from sessions.models import TradingSession
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def test_a_session_that_flattens_is_stopped_once_more_to_keep(world: World) -> None:
    TradingSession.objects.filter(pk=world.desk.session.pk).update(config={"on_stop": "flatten"})
    alice, path = world.as_("alice"), f"/api/auto-trading/sessions/{world.desk.session.id}/stop"
    first = alice.post(path, {"reason": "enough"}, format="json").json()
    assert (first["status"], first["keeps_at_stop"]) == ("stopping", False)
    again = alice.post(path, {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "session_state")
    kept = alice.post(path, {"on_stop": "keep"}, format="json").json()
    assert (kept["status"], kept["keeps_at_stop"], kept["stop_reason"]) == ("stopping", True, "enough")
    assert kept["etag"] != first["etag"]


def test_nobody_makes_a_session_sell_by_stopping_it(world: World) -> None:
    path = f"/api/auto-trading/sessions/{world.desk.session.id}/stop"
    answer = world.as_("alice").post(path, {"on_stop": "flatten"}, format="json")
    (error,) = answer.json()["errors"]
    assert answer.status_code == 400
    assert (error["path"], error["message"]) == (
        "on_stop",
        'It may only be "keep"; left out, the session\'s config decides.',
    )
    world.desk.refresh()
    assert world.desk.session.status == "active"
