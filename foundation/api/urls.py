from django.urls import path

from foundation.api import auth, failed_logins, processes, tokens

urlpatterns = [
    path("auth/login", auth.Login.as_view(), name="login"),
    path("auth/logout", auth.Logout.as_view(), name="logout"),
    path("auth/password", auth.Password.as_view(), name="change-password"),
    path("auth/tokens", tokens.Tokens.as_view(), name="tokens"),
    path("auth/tokens/revoke-others", tokens.RevokeOthers.as_view(), name="revoke-other-tokens"),
    path("auth/tokens/<uuid:id>", tokens.OneToken.as_view(), name="token"),
    path("failed-logins", failed_logins.FailedLogins.as_view(), name="failed-logins"),
    path("failed-logins/forget", failed_logins.ForgetFailedLogins.as_view(), name="forget-failed-logins"),
    path("platform/processes", processes.Processes.as_view(), name="processes"),
    path("service-accounts", tokens.ServiceAccounts.as_view(), name="service-accounts"),
    path("service-accounts/<uuid:id>/tokens", tokens.ServiceTokens.as_view(), name="service-tokens"),
    path(
        "service-accounts/<uuid:id>/tokens/<uuid:token_id>",
        tokens.OneServiceToken.as_view(),
        name="service-token",
    ),
    path(
        "service-accounts/<uuid:id>/deactivate",
        tokens.DeactivateServiceAccount.as_view(),
        name="deactivate-service-account",
    ),
]
