import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class IdempotencyKey(models.Model):
    """The first answer to a POST with this key; its row is locked by inserting it before the work."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="HMAC-SHA-256 over method, path and body")
    status = models.PositiveSmallIntegerField(null=True, help_text="empty while the work is under way")
    body = models.JSONField(null=True)
    sealed = models.BinaryField(
        null=True, help_text="a body that holds a secret, sealed by a key that is not in the database"
    )
    headers = models.JSONField(default=dict, help_text="those of the answer that a client needs")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"])]

    def __str__(self) -> str:
        return self.key


class TokenLabel(models.Model):
    """What a person calls one of his API tokens. Its id is the token's public name: it says nothing of the secret."""

    class Kind(models.TextChoices):
        LOGIN = "login", "by logging in"
        NAMED = "named"

    token = models.OneToOneField(
        "knox.AuthToken", on_delete=models.CASCADE, primary_key=True, related_name="label"
    )
    id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="who had it made"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="login", name="") | models.Q(kind="named") & ~models.Q(name=""),
                name="a_named_token_has_a_name",
            )
        ]

    def __str__(self) -> str:
        return self.name or "login"


class ServiceAccount(models.Model):
    """A program's user: it has tokens but no password, roles like anybody, and is nobody's second person."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="service_account"
    )
    id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    description = models.CharField(max_length=200)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.user)


class Lease(models.Model):
    """Who may do a thing that only one process at a time may do. The fence grows with each new holder."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=200)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder}"


class Heartbeat(models.Model):
    """A component's last sign of life, in database time."""

    component = models.CharField(max_length=60)
    instance = models.CharField(max_length=200, help_text="host:pid")
    code_version = models.CharField(max_length=64)
    at = models.DateTimeField()
    ended = models.BooleanField(db_default=False, help_text="it ended as it was told to")
    clock_ahead_seconds = models.FloatField(
        null=True,
        blank=True,
        help_text="by how much its machine's clock is ahead of the database's at least; below 0: behind",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["component", "instance"], name="heartbeat_once")]

    def __str__(self) -> str:
        return f"{self.component} {self.instance}"


class RequiredCodeVersion(models.Model):
    """The code version that may trade; a worker with another one does not (Knight Capital, 2012).

    One row or none; none means that any version may trade.
    """

    singleton = models.BooleanField(primary_key=True, default=True)
    version = models.CharField(max_length=64)
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(singleton=True), name="one_required_code_version")
        ]

    def __str__(self) -> str:
        return self.version
