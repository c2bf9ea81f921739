"""What a page needs of its language. Must not know what it says."""
from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from labsite import translations

register = template.Library()


@register.simple_tag
def script_words() -> SafeString:
    """The words of the page's script, which must come before it. Nothing in English."""
    language = get_language() or settings.LANGUAGE_CODE
    if language == settings.LANGUAGE_CODE:
        return SafeString()
    return format_html('<script defer src="{}"></script>', reverse("script_words", args=[language, translations.version(language)]))
