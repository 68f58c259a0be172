"""Four eyes: a version that takes effect only when a second person has approved exactly it.

Versions of limits and of rules share these columns, their constraints and the words for their states. Whether a
version needs approval is written when it is made and never changes; the decision is written once
(`portfolios.services.approvals`). The database refuses everything else, see the migrations `four_eyes`.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

MAY_BE_IN_FORCE = Q(needs_approval=False) | Q(approved=True)
WAITING = Q(needs_approval=True, approved__isnull=True)
NOT_REJECTED = Q(approved__isnull=True) | Q(approved=True)


class Approval(models.TextChoices):
    """What became of a version."""

    NOT_NEEDED = "not_needed"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


class Decidable(models.Model):
    """Columns of a version that a second person may have to approve; the version has a `created_by`."""

    needs_approval = models.BooleanField(default=False, db_default=False, editable=False)
    approved = models.BooleanField(
        null=True, editable=False, help_text="Empty until a second person decides; false: rejected"
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def approval(self) -> Approval:
        if not self.needs_approval:
            return Approval.NOT_NEEDED
        if self.approved is None:
            return Approval.WAITING
        return Approval.APPROVED if self.approved else Approval.REJECTED

    @property
    def may_be_in_force(self) -> bool:
        return not self.needs_approval or self.approved is True


def four_eyes_constraints(name: str) -> list[models.CheckConstraint]:
    """What must hold for each version of a table; `name` begins the constraints' names.

    Who proposes is named, and is another person than who approves; to reject one's own is to withdraw it.
    """
    undecided = Q(approved__isnull=True, decided_by__isnull=True, decided_at__isnull=True)
    decided = Q(approved__isnull=False, decided_by__isnull=False, decided_at__isnull=False)
    return [
        models.CheckConstraint(condition=undecided | decided, name=f"{name}_decided_by_somebody"),
        models.CheckConstraint(
            condition=Q(needs_approval=True) | Q(approved__isnull=True), name=f"{name}_decided_where_needed"
        ),
        models.CheckConstraint(
            condition=Q(needs_approval=False) | Q(created_by__isnull=False),
            name=f"{name}_proposed_by_somebody",
        ),
        models.CheckConstraint(
            condition=~Q(approved=True, decided_by=F("created_by")), name=f"{name}_approved_by_another"
        ),
    ]
