from django.urls import path

from lessons import step_views, views

app_name = "lessons"
step = "lessons/<slug:slug>/<int:number>/"
urlpatterns = [
    path("", views.home, name="home"),
    path("lessons/<slug:slug>/", views.lesson, name="lesson"),
    path("lessons/<slug:slug>/start", views.start, name="start"),
    path(step, views.step, name="step"),
    path(f"{step}state", step_views.state, name="state"),
    path(f"{step}check", step_views.check, name="check"),
    path(f"{step}hint", step_views.hint, name="hint"),
    path(f"{step}solution", step_views.solution, name="solution"),
    path(f"{step}quiz", step_views.quiz, name="quiz"),
    path(f"{step}enter", step_views.enter, name="enter"),
    path(f"{step}rewind", step_views.rewind, name="rewind"),
]
