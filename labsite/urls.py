from django.urls import include, path

from labsite.health import healthz, readyz
from labsite.metrics import metrics
from labsite.script_words import ScriptWords

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("account/", include("lessons.account_urls")),
    path("words/<slug:language>/<slug:version>.js", ScriptWords.as_view(), name="script_words"),
    path("lab/", include("netcontrol.urls")),
    path("", include("lessons.urls")),
]
