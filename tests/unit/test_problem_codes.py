"""Each problem that the code can answer with stands in console/problem_codes.py, with its status."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework import exceptions

import trading.services.connecting
from autotrading_project.environment_files import BASE_DIR
from console.problem_codes import CODES, problems_page
from foundation.errors import DomainError, RecordedRefusal
from market.models import CorporateAction
from trading.core.verdicts import RefusalCode

ROOMS = ("foundation", "journal", "market", "portfolios", "rules", "sessions", "trading", "console")
ANSWERS = {"problem", "plain_problem"}  # what writes a problem itself
# Never an answer of the API: the feed's own, and what nobody raises without a code of its own.
NO_ANSWERS = {"market_time_went_back", DomainError.code, RecordedRefusal.code}
# What DRF raises by itself; `invalid_input` stands for its ValidationError.
OF_REST_FRAMEWORK = (
    exceptions.AuthenticationFailed, exceptions.NotAuthenticated, exceptions.PermissionDenied, exceptions.NotFound,
    exceptions.MethodNotAllowed, exceptions.UnsupportedMediaType, exceptions.Throttled, exceptions.ParseError,
)  # fmt: skip


def family(cls: type[DomainError]) -> Iterator[type[DomainError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from family(child)


ERRORS = {cls.__name__: cls for cls in family(DomainError)}


def named() -> Iterator[tuple[str, str, int]]:
    """File, expression of the code and status, of everything in the rooms that names a code for a problem."""
    for file in sorted(path for room in ROOMS for path in (BASE_DIR / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = {word.arg: word.value for word in node.keywords}
            if "code" not in given or (called not in ERRORS and called not in ANSWERS):
                continue
            status = given.get("status")
            number = ERRORS[called].status if called in ERRORS else getattr(status, "value", 0)
            yield str(file.relative_to(BASE_DIR)), ast.unparse(given["code"]), number


# What is not written out where it is raised: the codes that it may be.
COMPUTED = {
    ("foundation/api/problems.py", "error.code"): set(),  # of a DomainError, found where that is raised
    ("foundation/api/problems.py", "str(code)"): set(),  # of OF_REST_FRAMEWORK
    ("portfolios/services/corrections.py", "f'{booking.action.kind}_since'"): {
        f"{kind}_since" for kind in CorporateAction.Kind.values
    },
    ("trading/services/connecting.py", "code"): {
        "trading_blocked", "other_currency", "broker_holds", "broker_orders", "broker_cash",
    },
    ("trading/services/manual.py", "draft.code"): {code.value for code in RefusalCode},
}  # fmt: skip


def found() -> dict[str, set[int]]:
    """By code: the statuses that it comes with."""
    codes: dict[str, set[int]] = defaultdict(set)
    for cls in ERRORS.values():
        codes[cls.code].add(cls.status)
    for error in OF_REST_FRAMEWORK:
        codes[error.default_code].add(error.status_code)
    for file, expression, status in named():
        code = ast.literal_eval(expression) if expression[0] in "'\"" else None
        for each in {code} if isinstance(code, str) else COMPUTED[file, expression]:
            codes[each].add(status)
    return {code: statuses for code, statuses in codes.items() if code not in NO_ANSWERS}


def test_every_code_is_told_with_its_statuses() -> None:
    assert found() == {code: set(told.statuses) for code, told in CODES.items()}


def test_what_is_computed_is_still_there() -> None:
    assert {(file, code) for file, code, _ in named() if code[0] not in "'\""} == COMPUTED.keys()


def test_the_accounts_that_do_not_fit_are_told_whole() -> None:
    """Their codes stand in a table of three columns."""
    tree = ast.parse(Path(trading.services.connecting.__file__).read_text(encoding="utf-8"))
    written = {
        row.elts[1].value
        for row in ast.walk(tree)
        if isinstance(row, ast.Tuple) and len(row.elts) == 3 and isinstance(row.elts[1], ast.Constant)
        and isinstance(row.elts[1].value, str)
    }  # fmt: skip
    assert written == COMPUTED["trading/services/connecting.py", "code"]


@pytest.mark.parametrize("code", ["four_eyes", "MAX_ORDER_VALUE", "throttled"])
def test_the_page_tells_of_it(code: str) -> None:
    page = (BASE_DIR / "docs" / "problems.md").read_text(encoding="utf-8")
    assert page == problems_page()
    assert f"`{code}`" in page
