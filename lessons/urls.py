from django.urls import path

from lessons import views

app_name = "lessons"
urlpatterns = [
    path("", views.home, name="home"),
    path("lessons/<slug:slug>/", views.lesson, name="lesson"),
    path("lessons/<slug:slug>/start", views.start, name="start"),
    path("lessons/<slug:slug>/<int:number>/", views.step, name="step"),
]
