from django.urls import include, path

urlpatterns = [
    path("lab/", include("netcontrol.urls")),
    path("", include("lessons.urls")),
]
