"""What a WebSocket client may ask for."""

from uuid import UUID

import pytest

from journal.stream.closing import Close, CloseCode
from journal.stream.request import Query, parse_first_message, parse_query, ticket_in

ID = "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", Query(None, None)),
        (f"portfolio={ID}".encode(), Query(UUID(ID), None)),
        (f"portfolio={ID}&since=0".encode(), Query(UUID(ID), 0)),
        (f"since=17&portfolio={ID}&ticket=abc".encode(), Query(UUID(ID), 17)),
    ],
)
def test_a_query_names_a_portfolio_and_a_position(query, expected):
    assert parse_query(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        b"portfolio=7",
        b"portfolio=",
        f"portfolio={ID}&since=".encode(),
        f"portfolio={ID}&since=-1".encode(),
        f"portfolio={ID}&since=1.5".encode(),
        f"portfolio={ID}&since=x".encode(),
        f"portfolio={ID}&since={'9' * 19}".encode(),  # beyond a bigint
        f"portfolio={ID}&portfolio={ID}".encode(),
        f"portfolio={ID}&since=1&since=2".encode(),
        b"since=1",  # of which stream?
        f"portfolio={ID}&sinse=1".encode(),  # it must not begin now
        f"portfolo={ID}".encode(),  # nor with everything that one may see
        b"a=1&" * 17,
        b"a" * 3000,
    ],
)
def test_a_bad_query_is_refused_with_4400(query):
    with pytest.raises(Close) as refused:
        parse_query(query)
    assert refused.value.code == CloseCode.BAD_REQUEST
    assert refused.value.reason


def test_the_ticket_is_found_even_in_a_bad_query():
    assert ticket_in(b"portfolio=7&ticket=abc") == "abc"
    assert ticket_in(b"portfolio=7") is None


def test_a_first_message_maps_streams_to_positions():
    assert parse_first_message(f'{{"since": {{"{ID}": 4}}}}') == {UUID(ID): 4}
    assert parse_first_message('{"since": {}}') == {}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"since": []}',
        '{"since": {"x": 1}}',
        f'{{"since": {{"{ID}": "1"}}}}',
        f'{{"since": {{"{ID}": -1}}}}',
        f'{{"since": {{"{ID}": true}}}}',
        f'{{"since": {{"{ID}": 1.0}}}}',
        '{"since": {}, "until": {}}',
        "[" * 100_000,
    ],
)
def test_a_bad_first_message_is_refused_with_4400(text):
    with pytest.raises(Close) as refused:
        parse_first_message(text)
    assert refused.value.code == CloseCode.BAD_REQUEST


def test_a_close_reason_fits_into_the_frame():
    assert len(Close(CloseCode.NOT_FOUND, "ü" * 500).reason.encode()) <= 123
