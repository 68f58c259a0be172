"""Celery tasks of the trading room: each works off what is due, and says so with a heartbeat.

A message carries no decision: losing one, or getting one twice, changes nothing.
"""

import time

from celery import shared_task

from foundation.heartbeats import beat_if_due
from foundation.wakeups import EXPIRES_SECONDS, wake
from sessions.models import EvaluationRun
from sessions.services.slices import any_due
from trading.services.auto_trading import evaluate_next_slice
from trading.services.draining import drain_all
from trading.services.order_management import wake_execution
from trading.services.outlived import cancel_outlived_orders as cancel_orders_beyond_their_day
from trading.services.protection_watch import watch_protections as watch_positions
from trading.services.pruning import prune as prune_traces
from trading.services.reconciliation import reconcile_due as reconcile_due_accounts
from trading.services.recovery import recover_due as recover_orders
from trading.services.sending import send_due as send_orders
from trading.services.split_orders import cancel_split_orders as cancel_orders_of_splits
from trading.services.stop_notices import tell_portfolios
from trading.services.stopping import finish_stopping as finish_stopping_sessions
from trading.services.trade_execution import execute_or_wake, execute_pending
from trading.services.watching import watch_breakers as watch_all_breakers
from trading.services.watching import watch_platform

# A task ends after so long and wakes a successor, so that no worker is held for long.
EVALUATE_SECONDS = 5.0
RECOVER_FIRST_SECONDS = 3.0


@shared_task(name="trading.tasks.evaluate_due")
def evaluate_due() -> None:
    """Evaluate due slices until none is due; first see that beat and feed are there.

    Who sees that more is due wakes one more worker, once, so that n of them are at work after n steps; messages do not
    multiply, for whoever has woken one leaves the rest to it.
    """
    watch_platform()
    _evaluate_slices()
    # Last: a sign is a commit, and the tick's orders need not wait for it.
    beat_if_due(component="worker.evaluation")


def _evaluate_slices() -> None:
    begun, helped = time.monotonic(), 0.0
    while time.monotonic() - begun < EVALUATE_SECONDS:
        run = evaluate_next_slice(carry_out=execute_or_wake)
        if run is None:
            return
        if not helped and isinstance(run, EvaluationRun) and any_due(version=run.slot):
            helped = time.monotonic()
            wake("trading.tasks.evaluate_due", queue="evaluation")
    if time.monotonic() - helped > EXPIRES_SECONDS:  # that message is gone, if nobody took it
        wake("trading.tasks.evaluate_due", queue="evaluation")


@shared_task(name="trading.tasks.execute_due")
def execute_due() -> None:
    """Execute what is pending; first see that beat and feed are there."""
    watch_platform()
    execute_pending()
    beat_if_due(component="worker.execution")  # last, as above


@shared_task(name="trading.tasks.send_due")
def send_due() -> None:
    """Carry out cancels and send what is pending at real brokers; first see that beat and feed are there.

    What is in doubt comes before what is new, here too: with much to send, senders are all that a worker does, and a
    lost claim would wait for its own task as long as the queue is.
    """
    beat_if_due(component="worker.broker")
    watch_platform()
    recover_orders(seconds=RECOVER_FIRST_SECONDS)
    send_orders()


@shared_task(name="trading.tasks.recover_due")
def recover_due() -> None:
    """Take over lost claims, and ask brokers for orders whose outcome is unknown."""
    beat_if_due(component="worker.broker")
    recover_orders()


@shared_task(name="trading.tasks.watch_protections")
def watch_protections() -> None:
    """Sell the positions whose stop or target is reached; what was ordered is executed by its own task."""
    beat_if_due(component="worker.execution")
    watch_positions()


@shared_task(name="trading.tasks.drain_halts")
def drain_halts() -> None:
    """Drain what is armed; then tell the portfolios of what is wider than each of them."""
    drain_all()
    tell_portfolios()


@shared_task(name="trading.tasks.watch_breakers")
def watch_breakers() -> None:
    watch_all_breakers()


@shared_task(name="trading.tasks.finish_stopping")
def finish_stopping() -> None:
    """Close what stopping sessions have open; what needs execution is executed by its own task."""
    finish_stopping_sessions()
    wake_execution()


@shared_task(name="trading.tasks.cancel_split_orders")
def cancel_split_orders() -> None:
    """Cancel what was ordered in units that a split has replaced."""
    cancel_orders_of_splits()


@shared_task(name="trading.tasks.cancel_outlived_orders")
def cancel_outlived_orders() -> None:
    """Cancel what a real broker should have ended with its day."""
    cancel_orders_beyond_their_day()


@shared_task(name="trading.tasks.reconcile_due")
def reconcile_due() -> None:
    """Compare the accounts that are due with their brokers."""
    beat_if_due(component="worker.broker")
    reconcile_due_accounts()


@shared_task(name="trading.tasks.prune")
def prune() -> None:
    """Forget traces that nobody needs any more."""
    prune_traces()
