"""What the bar says of who is here. Must not know: what a lesson is, what a lab is."""
from typing import Any

from django import template
from django.conf import settings

from lessons.accounts import guest_of, is_account
from lessons.merging import has_work

register = template.Library()


@register.inclusion_tag("account/_bar.html", takes_context=True)
def account_bar(context: template.Context) -> dict[str, Any]:
    """On a wide page."""
    return _who(context)


@register.inclusion_tag("account/_menu.html", takes_context=True)
def account_menu(context: template.Context) -> dict[str, Any]:
    """In the menu of a phone."""
    return _who(context)


def _who(context: template.Context) -> dict[str, Any]:
    request = context["request"]
    if not hasattr(request, "keeps"):  # asked once for the bar and the menu
        request.keeps = bool((guest := guest_of(request)) and has_work(guest))
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "here": request.get_full_path() if request.method in ("GET", "HEAD") else "/",
        "account": request.user if is_account(request) else None,
        "keeps": request.keeps,
        "languages": settings.LANGUAGES,
    }
