"""The codes of all problems that the API answers with, for programs that tell them apart: docs/problems.md, and the
enumeration in the OpenAPI document.

A room names a code where it raises the error, in words that need no table. Here they are put together and told; a
test reads the code of all rooms and holds this list against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trading.core.verdicts import RefusalCode

HEAD = """# Problems, by their code

What cannot be done is answered by a problem (RFC 9457, `application/problem+json`). `code` is one of these and is for
programs; `detail` says the same to people, with the numbers and the cure. In time there will be more codes: treat one
that you do not know as its status says. Which operation has which statuses stands in `/api/docs`.

This page is made by `manage.py write_contracts` of `console/problem_codes.py`.
"""


@dataclass(frozen=True)
class Told:
    """With which statuses a code comes, and what it means."""

    statuses: tuple[int, ...]
    meaning: str


def _with(status: int, meanings: Mapping[str, str]) -> dict[str, Told]:
    return {code: Told((status,), meaning) for code, meaning in meanings.items()}


CODES: Mapping[str, Told] = {
    **_with(
        400,
        {
            "bad_request": "The request cannot be understood.",
            "invalid_input": "The input is not valid; `errors` says where, and what instead.",
            "not_carried_out": "The rule is valid, and this version would not carry it out; `errors` says what of it.",
            "parse_error": "The body is not JSON, or not in UTF-8.",
        },
    ),
    **_with(
        401,
        {
            "authentication_failed": "The name, password or token is not valid (any more).",
            "not_authenticated": "There is no token and no session.",
        },
    ),
    **_with(
        403,
        {
            "forbidden": "Not for you.",
            "permission_denied": "The CSRF token of the session is missing or wrong.",
            "role_required": "Your role in the portfolio may not do this.",
            "staff_required": "For staff.",
            "superuser_required": "For superusers.",
            "undeclared": "The operation is open to nobody yet.",
            "wrong_password": "The password that is asked for again is wrong.",
        },
    ),
    "person_required": Told((403, 409), "A service account is nobody's second person, and nobody is its."),
    **_with(
        404,
        {
            "not_found": "There is no such thing, or it is not yours to see.",
            "snapshot_not_kept": "The market of then is not kept (any more); `oldest_slot` is the oldest that is.",
        },
    ),
    **_with(405, {"method_not_allowed": "The path has other methods; `Allow` names them."}),
    **_with(
        409,
        {
            "account_taken": "Another portfolio is connected to this account of the broker.",
            "already_reversed": "The entry is reversed already.",
            "already_withdrawn": "The corporate action is withdrawn already.",
            "approval_required": "The rule's version waits for a second person.",
            "break_ended": "The break has ended already.",
            "breaks_open": "Breaks of the account must be explained first.",
            "broker_unreadable": "The last reconciliation could not read the broker.",
            "built_in": "The source is built in and stays as it is.",
            "cash_not_free": "The reversal would take more cash than is free.",
            "conflict": "Not possible in the present state.",
            "credentials_sealed": "The broker's keys were sealed with a key that CREDENTIAL_KEYS has no more.",
            "dividend_since": "A dividend was booked for what was held: reverse it first.",
            "four_eyes": "Another person must do this, or agree.",
            "halt_released": "The emergency stop is released already.",
            "has_pusher": "The source has a pusher: it is not pulled.",
            "in_progress": "The first request with this idempotency key is still at work.",
            "is_a_reversal": "The entry is a reversal itself.",
            "is_pulled": "The source is pulled: it has no pusher.",
            "last_owner": "The portfolio needs an owner.",
            "live_account": "With real money four eyes cannot be ended.",
            "live_not_allowed": "This installation lets no real money trade.",
            "mode_mismatch": "The session's mode is not the account's; `mode` is.",
            "name_in_use": "The name is taken.",
            "name_taken": "A plan of the portfolio has this name.",
            "no_credentials": "The account has no keys.",
            "no_position": "Nothing is held that could be protected.",
            "no_sealing_key": "CREDENTIAL_KEYS is not set: no key and no token can be kept.",
            "not_waiting": "It does not wait for approval (any more).",
            "order_working": "An order for the instrument works: cancel it first.",
            "paper_account": "A paper account has no broker to compare with.",
            "position_open": "The portfolio holds something: sell it first.",
            "real_broker": "Only a paper account has a paper market.",
            "reverse_the_execution": "The entry is a fill: reverse its execution.",
            "rule_archived": "The rule is archived.",
            "session_running": "A session of the portfolio runs; `session_id` names it.",
            "session_state": "The session is in another state; `status_now` is it.",
            "split_since": "A split was booked for what was held: reverse it first.",
            "superseded": "A newer version waits instead.",
            "token_sealed": "The source's token was sealed with a key that CREDENTIAL_KEYS has no more.",
            "too_many_plans": "The portfolio has as many plans as it may have.",
            "too_many_rules": "The portfolio has as many rules as it may have.",
            "too_many_tokens": "You have as many named tokens as you may have.",
            "trade_filled": "Some of the order was filled, so it was not rejected.",
            "trade_open": "A trade of the portfolio is open.",
            "trade_state": "The trade is in another state; `status_now` is it.",
            "trade_working": "The trade has not ended yet.",
            "units_not_free": "The reversal would take more units than are held and free.",
            "user_not_active": "The user is not active.",
            "version_conflict": "The rule was changed meanwhile; `version` is what it has now.",
        },
    ),
    **_with(412, {"changed_meanwhile": "It was changed since you looked at it; `etag` is its present tag."}),
    **_with(413, {"too_large": "The body is too large."}),
    **_with(415, {"unsupported_media_type": "The body is not `application/json`."}),
    **_with(
        422,
        {
            "broker_cash": "The broker's account has a cash balance that the books cannot begin with.",
            "broker_holds": "The broker's account holds positions.",
            "broker_orders": "The broker's account has open orders.",
            "keys_refused": "The broker refuses the keys.",
            "other_currency": "The broker's account is kept in another currency.",
            "too_many_triggered": "More symbols triggered than a preview looks at.",
            "trading_blocked": "The broker's account takes no orders.",
            "unprocessable": "The idempotency key was used for another request.",
        },
    ),
    **{code.value: Told((422,), "A risk control refuses the order.") for code in RefusalCode},
    **_with(
        429,
        {
            "throttled": "Too many requests; `Retry-After` says when there is room again.",
            "too_many_logins": "Too many failed logins of this name from this address, or of this address.",
        },
    ),
    **_with(500, {"internal_error": "A defect of ours, which was logged; nothing was changed."}),
    **_with(503, {"unavailable": "Cannot be decided at the moment; `Retry-After` says when to try again."}),
}


def add_codes(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular's."""
    code = result["components"]["schemas"]["Problem"]["properties"]["code"]
    code["enum"] = sorted(CODES)
    code["description"] = "for programs, stable; docs/problems.md tells of each. There will be others in time"
    return result


def problems_page() -> str:
    """The text of docs/problems.md."""
    controls = {code.value for code in RefusalCode}
    rows = sorted((told.statuses, code, told.meaning) for code, told in CODES.items() if code not in controls)
    lines = [HEAD, "| code | status | meaning |", "|---|---|---|"]
    lines += [
        f"| `{code}` | {' or '.join(map(str, statuses))} | {meaning} |" for statuses, code, meaning in rows
    ]
    lines += [
        "",
        "## Refusals of the risk controls",
        "",
        "They come with 422, `checks` (what each control looked at, with its numbers) and `decision_id`, under which",
        "the refusal is recorded. [risk-controls.md](risk-controls.md) tells what each of them looks at.",
        "",
        ", ".join(f"`{code}`" for code in sorted(controls)) + ".",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
