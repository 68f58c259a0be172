from django.urls import path

from sessions.api import views

urlpatterns = [
    path("auto-trading/sessions/start", views.StartSession.as_view(), name="session-start"),
    path("auto-trading/sessions/<uuid:portfolio_id>", views.Sessions.as_view(), name="sessions"),
    path("auto-trading/sessions/<uuid:id>/stop", views.StopSession.as_view(), name="session-stop"),
    path("auto-trading/sessions/<uuid:id>/pause", views.PauseSession.as_view(), name="session-pause"),
    path("auto-trading/sessions/<uuid:id>/resume", views.ResumeSession.as_view(), name="session-resume"),
]
