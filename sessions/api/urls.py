from django.urls import path

from sessions.api import limits, plan_views, views

urlpatterns = [
    path("auto-trading/sessions/start", views.StartSession.as_view(), name="session-start"),
    path("auto-trading/sessions/<uuid:portfolio_id>", views.Sessions.as_view(), name="sessions"),
    path("auto-trading/sessions/<uuid:id>/stop", views.StopSession.as_view(), name="session-stop"),
    path("auto-trading/sessions/<uuid:id>/pause", views.PauseSession.as_view(), name="session-pause"),
    path("auto-trading/sessions/<uuid:id>/resume", views.ResumeSession.as_view(), name="session-resume"),
    path("auto-trading/sessions/<uuid:id>/limits", limits.SessionLimits.as_view(), name="session-limits"),
    path("auto-trading/session-plans", plan_views.SessionPlans.as_view(), name="session-plans"),
    path("auto-trading/session-plans/<uuid:id>", plan_views.OneSessionPlan.as_view(), name="session-plan"),
    path(
        "auto-trading/session-plans/<uuid:id>/enable",
        plan_views.EnableSessionPlan.as_view(),
        name="session-plan-enable",
    ),
    path(
        "auto-trading/session-plans/<uuid:id>/disable",
        plan_views.DisableSessionPlan.as_view(),
        name="session-plan-disable",
    ),
]
