"""Which portfolios have changed lately: who keeps in his process what they own reads those again, and no others."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from foundation.moments import WritingTransaction


class PortfolioChange(models.Model):
    """Portfolios of which one statement has changed cash, reserves, positions, revisions or marks.

    Written by triggers, whoever the statement is of; read by `portfolios.changes`, in the order of transactions.
    """

    id = models.BigAutoField(primary_key=True)
    written_by = models.BigIntegerField(
        db_default=WritingTransaction(), db_index=True, help_text="The transaction: when others saw it"
    )
    portfolio_ids = ArrayField(models.UUIDField())
    is_mark = models.BooleanField(
        help_text="Only what profits and drawdowns are measured against has changed"
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{len(self.portfolio_ids)} portfolios in transaction {self.written_by}"
