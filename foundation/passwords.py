"""A new password ends the tokens of the old one, by whatever door it comes: API, admin, command line, shell."""

from django.contrib.auth.models import User

from foundation.tokens import revoke_tokens


class TokensEnd:
    """One of AUTH_PASSWORD_VALIDATORS, for Django tells these when a password was changed; it refuses none.

    Sessions end by themselves: each holds a digest of the password.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        """Any will do here."""

    def get_help_text(self) -> str:
        return "API tokens end with the old password: log in anew where they are used."

    def password_changed(self, password: str, user: User) -> None:
        """Called by Django once the new one is saved."""
        revoke_tokens(user=user)
