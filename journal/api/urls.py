from django.urls import path

from journal.api import views

urlpatterns = [
    path("journal", views.JournalList.as_view(), name="journal"),
    path("alerts", views.AlertList.as_view(), name="alerts"),
    path("alerts/<uuid:alert_id>/acknowledge", views.AlertAcknowledge.as_view(), name="alert-acknowledge"),
    path("stream/tickets", views.StreamTickets.as_view(), name="stream-tickets"),
]
