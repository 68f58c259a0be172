"""`ETag` and `If-Match`: nobody overwrites what he has not seen, and whoever sends none changes what he finds."""

from typing import Any

import pytest

from tests.integration.api.conftest import World
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
OTHER = '"of-another-state"'


def changed(rule: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {name: rule[name] for name in ("name", "rule_type", "conditions", "actions", "priority")} | keys


class TestRules:
    @pytest.fixture
    def path(self, world: World) -> str:
        return f"/api/auto-trading/rules/{world.rule.id}"

    def test_a_change_needs_the_present_tag_if_it_names_one(self, world: World, path: str) -> None:
        alice = world.as_("alice")
        seen = alice.get(f"{path}/details")
        assert seen["ETag"] == seen.json()["etag"]
        mine = changed(seen.json(), priority=5)
        done = alice.put(path, mine, format="json", headers={"If-Match": seen["ETag"]})
        assert (done.status_code, done.json()["priority"]) == (200, 5)
        assert done["ETag"] != seen["ETag"]
        late = alice.put(path, changed(mine, priority=6), format="json", headers={"If-Match": seen["ETag"]})
        assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
        assert late.json()["etag"] == done["ETag"]
        assert alice.get(f"{path}/details").json()["priority"] == 5

    def test_the_list_tells_the_same_tag(self, world: World, path: str) -> None:
        alice = world.as_("alice")
        rows = alice.get(f"/api/auto-trading/rules/{world.desk.portfolio.id}").json()["results"]
        tags = {row["id"]: row["etag"] for row in rows}
        assert tags[str(world.rule.id)] == alice.get(f"{path}/details")["ETag"]

    @pytest.mark.parametrize(
        ("method", "end"), [("put", ""), ("delete", ""), ("post", "/activate"), ("post", "/deactivate")]
    )
    def test_every_change_of_it_can_name_one(self, world: World, path: str, method: str, end: str) -> None:
        alice = world.as_("alice")
        before = alice.get(f"{path}/details")
        body = changed(before.json(), priority=9)
        answer = getattr(alice, method)(path + end, body, format="json", headers={"If-Match": OTHER})
        assert answer.status_code == 412
        assert alice.get(f"{path}/details").json() == before.json()

    def test_switching_and_proposing_change_the_tag(self, world: World, path: str) -> None:
        alice, tags = world.as_("alice"), []
        for step in ("deactivate", "activate"):
            tags.append(alice.get(f"{path}/details")["ETag"])
            alice.post(f"{path}/{step}")
        assert tags[0] != tags[1] and alice.get(f"{path}/details")["ETag"] == tags[0]
        alice.post(f"/api/portfolios/{world.desk.portfolio.id}/four-eyes", {"enabled": True}, format="json")
        alice.put(path, changed(alice.get(f"{path}/details").json(), priority=7), format="json")
        proposed = alice.get(f"{path}/details")
        assert proposed.json()["pending_version"] and proposed["ETag"] not in tags
        version = proposed.json()["pending_version"]["version"]
        late = world.as_("bob").post(f"{path}/versions/{version}/approve", headers={"If-Match": tags[0]})
        assert late.status_code == 412
        good = world.as_("bob").post(
            f"{path}/versions/{version}/approve", headers={"If-Match": proposed["ETag"]}
        )
        assert good.status_code == 200

    @pytest.mark.parametrize("header", ["abc", 'W/"abc"', '"abc', "", '"a" "b"'])
    def test_a_header_that_is_none_is_refused(self, world: World, path: str, header: str) -> None:
        answer = world.as_("alice").post(f"{path}/deactivate", headers={"If-Match": header})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "If-Match")

    def test_any_of_several_will_do_and_a_star_is_any(self, world: World, path: str) -> None:
        alice = world.as_("alice")
        tag = alice.get(f"{path}/details")["ETag"]
        assert alice.post(f"{path}/deactivate", headers={"If-Match": f"{OTHER}, {tag}"}).status_code == 200
        assert alice.post(f"{path}/activate", headers={"If-Match": "*"}).status_code == 200


class TestLimits:
    @pytest.mark.parametrize(
        ("path", "who"),
        [("portfolios/{portfolio}/limits", "alice"), ("portfolios/{portfolio}/account-limits", "alice"),
         ("platform/limits", "steffi"), ("instruments/AAA/limits", "steffi")],
    )  # fmt: skip
    def test_of_every_scope(self, world: World, path: str, who: str) -> None:
        client, path = world.as_(who), "/api/" + path.format(portfolio=world.desk.portfolio.id)
        seen = client.get(path)["ETag"]
        first = client.put(path, {"max_order_value": "4000"}, format="json", headers={"If-Match": seen})
        assert first.status_code == 200 and first["ETag"] != seen
        late = client.put(path, {"max_order_value": "3000"}, format="json", headers={"If-Match": seen})
        assert (late.status_code, late.json()["etag"]) == (412, first["ETag"])
        assert client.get(path)["ETag"] == first["ETag"]


class TestSessions:
    @pytest.fixture
    def path(self, world: World) -> str:
        return f"/api/auto-trading/sessions/{world.desk.session.id}"

    def test_a_pause_of_what_somebody_else_has_paused_is_told_so(self, world: World, path: str) -> None:
        seen = world.as_("alice").get(f"{path}/status")["ETag"]
        paused = world.as_("tara").post(f"{path}/pause", headers={"If-Match": seen})
        assert paused.status_code == 200
        late = world.as_("alice").post(f"{path}/stop", headers={"If-Match": seen})
        assert (late.status_code, late.json()["etag"]) == (412, paused["ETag"])
        assert world.as_("alice").post(f"{path}/stop").status_code == 200, "without a tag it stops"

    def test_a_fill_does_not_change_it(self, world: World, path: str) -> None:
        alice = world.as_("alice")
        seen = alice.get(f"{path}/status")
        execute_pending()
        now = alice.get(f"{path}/status")
        assert now.json() != seen.json() and now["ETag"] == seen["ETag"]


def test_a_repeated_request_gets_its_first_answer_and_no_precondition(world: World) -> None:
    path = f"/api/auto-trading/sessions/{world.desk.session.id}"
    alice = world.as_("alice")
    headers = {"If-Match": alice.get(f"{path}/status")["ETag"], "Idempotency-Key": "pause"}
    first, again = (alice.post(f"{path}/pause", headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.json(), again["ETag"], again["Idempotent-Replayed"]) == (
        first.json(),
        first["ETag"],
        "true",
    )
