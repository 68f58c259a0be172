from django.urls import path

from foundation.api import views

urlpatterns = [
    path("auth/login", views.Login.as_view(), name="login"),
    path("auth/logout", views.Logout.as_view(), name="logout"),
]
