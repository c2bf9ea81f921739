"""What the page's script says, in another language: Django's catalogue as one script, for a year in the browser's cache.

Its address changes with its words. English needs none: it is what the code says. Must not know: pages.
"""
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.translation import override
from django.views.i18n import JavaScriptCatalog

from labsite import translations


class ScriptWords(JavaScriptCatalog):
    packages = ["labsite"]  # what Django's own apps say in scripts is not needed

    def get(self, request: HttpRequest, language: str, version: str) -> HttpResponse:  # type: ignore[override]
        if language not in dict(settings.LANGUAGES):
            raise Http404
        with override(language):
            response = super().get(request)
        if version == translations.version(language):
            patch_cache_control(response, public=True, max_age=365 * 24 * 3600, immutable=True)
        else:
            patch_cache_control(response, no_cache=True)  # the page is of another age than this process
        return response
