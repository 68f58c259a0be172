"""Corporate actions as the REST data tells them: by the day on which they are processed, whenever they go ex."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.simulator.wire import Response, json_response

TOKEN_LENGTH = 150
"""of a page's token; the real ones have about a hundred characters"""
SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,4}){0,2}")


def told(actions: Mapping[str, Sequence[Mapping[str, Any]]], query: Mapping[str, str]) -> Response:
    """One page for each kind, so that who reads one page only misses some. `types` chooses kinds (all, where it is left
    out)."""
    symbols, kinds, today = query["symbols"].split(","), sorted(actions), datetime.now(UTC).date().isoformat()
    if "types" in query:
        kinds = [kind for kind in kinds if kind.removesuffix("s") in query["types"].split(",")]
    if (malformed := first_malformed(symbols)) is not None:
        return invalid_symbol(malformed)
    first, last = query.get("start", today), query.get("end", today)
    begin = int(query.get("page_token", "0"))
    chosen = {
        kind: [
            row
            for row in actions[kind]
            if _is_of(row, symbols) and first <= row.get("process_date", first) <= last
        ]
        for kind in kinds[begin : begin + 1]
    }
    token = str(begin + 1).zfill(TOKEN_LENGTH) if begin + 1 < len(kinds) else None
    return json_response(200, {"corporate_actions": chosen, "next_page_token": token})


def _is_of(row: Mapping[str, Any], symbols: Sequence[str]) -> bool:
    names = {row[name] for name in ("old_symbol", "source_symbol", "acquiree_symbol") if name in row}
    return row.get("symbol", "") in (*symbols, None) or not names.isdisjoint(symbols)


def first_malformed(symbols: Iterable[str]) -> str | None:
    """Of the symbols; one such spoils the whole question, whatever the others are."""
    return next((symbol for symbol in symbols if SYMBOL.fullmatch(symbol) is None), None)


def invalid_symbol(symbol: str) -> Response:
    return json_response(400, {"message": f"code=400, message=invalid symbol: {symbol}"})
