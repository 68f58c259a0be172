from django.urls import path

from console import views

urlpatterns = [
    path("", views.console, name="console"),
    path("login", views.login, name="console-login"),
    path("logout", views.logout, name="console-logout"),
]
