from django.urls import path

from netcontrol import views

app_name = "netcontrol"
urlpatterns = [
    path("reset", views.reset, name="reset"),
    path("end", views.end, name="end"),
    path("state", views.state, name="state"),
    path("history", views.history, name="history"),
    path("history.txt", views.transcript, name="transcript"),
    path("history/<uuid:pk>", views.command, name="command"),
]
