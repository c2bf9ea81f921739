from django.urls import path

app_name = "netcontrol"
urlpatterns: list = []
