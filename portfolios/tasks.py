"""Celery tasks of the portfolios' room. Each is a wake-up or a sweep: it finds what is due by itself."""

from celery import shared_task

from market.services.corporate_actions import BOOK
from portfolios.services.corporate_actions import book_due_actions


@shared_task(name=BOOK)
def book_corporate_actions() -> None:
    """Woken when one is recorded, swept by beat for those whose ex time comes, and for those that wait."""
    book_due_actions()
