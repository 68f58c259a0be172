"""Orders of ours of which something cannot be read, and people's last word about them.

While there is one, nobody knows what it was filled with, and what the account holds cannot be judged. A broker may
never tell of it in words that we have. So two words of people together are the last ones: its trade has ended in our
books (by hand, where the broker's end of it cannot be read), and its break is explained. From then on positions and
cash are compared all the same; what it was filled with and nobody has booked is a difference there.
"""

from collections.abc import Mapping

from django.db.models import QuerySet

from trading.brokers.protocol import OwnReport
from trading.core.order_states import FINAL
from trading.core.reconciliation import Finding
from trading.models import AutoTrade, ReconciliationBreak
from trading.services import breaks
from trading.services.reconciling import Run

# Of so many orders of ours in one look something cannot be read, and the others still count: more than a few, and it is
# the broker that cannot be read.
UNREAD_MAX = 5
ENDED = [state.value for state in FINAL]


def unread_order(report: OwnReport) -> Finding:
    detail = f"{'a fill of an' if report.is_fill else 'an'} order of ours cannot be read: {report}"
    return Finding(
        ReconciliationBreak.Kind.BAD_REPORT, f"order {report.client_order_id}", detail, theirs={"said": report.payload}
    )  # fmt: skip


def in_the_way(run: Run, unread: Mapping[str, OwnReport]) -> list[OwnReport]:
    """Those of `unread`, by client id, without people's last word."""
    open_here = set(
        _trades_of(run, unread).exclude(status__in=ENDED).values_list("client_order_id", flat=True)
    )
    return [
        report
        for key, report in unread.items()
        if key in open_here or not breaks.is_known(account_id=run.account_id, found=unread_order(report))
    ]


def require_few(run: Run, unread: Mapping[str, OwnReport]) -> None:
    """Raises the report of one of them where they are more than a few. Those that a person has ended by hand (they
    have no id of the broker's any more) are told of one by one, so that the break of each can be explained."""
    if len(unread) <= UNREAD_MAX:
        return
    by_hand = _trades_of(run, unread).filter(status__in=ENDED, broker_order_id="", sent_at__isnull=False)
    ended = set(by_hand.values_list("client_order_id", flat=True))
    others = [report for report in in_the_way(run, unread) if report.client_order_id not in ended]
    if len(others) > UNREAD_MAX:
        raise others[0]


def _trades_of(run: Run, unread: Mapping[str, OwnReport]) -> QuerySet[AutoTrade]:
    return AutoTrade.objects.filter(account_id=run.account_id, client_order_id__in=list(unread))
