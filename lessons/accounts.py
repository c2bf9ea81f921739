"""The pages of accounts: keep your progress, sign in, sign out, another password, the language. Django's own views, in the lab's words.

A guest is a student already (models.py): keeping is giving the same row a name and a password; signing in elsewhere merges it
(merging.py). Must not know: sandboxes, lessons.
"""
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, PasswordChangeView, RedirectURLMixin
from django.db import IntegrityError, transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.generic import FormView
from django.views.i18n import set_language

from lessons import throttle, visitors
from lessons.forms import ChangePasswordForm, KeepForm, SignInForm
from lessons.merging import NoGuest, has_work
from lessons.models import Student
from netcontrol import orders
from netcontrol.errors import LabError
from netcontrol.templatetags.said import in_a_row

HOME = "lessons:home"


def is_account(request: HttpRequest) -> bool:
    return request.user.is_authenticated and not request.user.is_guest


def guest_of(request: HttpRequest) -> Student | None:
    return request.user if request.user.is_authenticated and request.user.is_guest else None


class Throttled(FormView):
    """A form whose every try counts, and which says so instead of looking when there were too many."""

    what, rates, name_field = "", throttle.PASSWORD_TRIES, ""

    @method_decorator(sensitive_post_parameters())
    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def name_tried(self) -> str:
        return self.request.POST.get(self.name_field, "")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if minutes := throttle.minutes_to_wait(request, self.what, self.rates, self.name_tried()):
            words = ngettext(
                "That was tried too often. Nothing was looked at, and nothing is looked at for %(minutes)d minute. Then try again.",
                "That was tried too often. Nothing was looked at, and nothing is looked at for %(minutes)d minutes. Then try again.",
                minutes,
            ) % {"minutes": minutes}
            form = self.get_form_class()(**{**self.get_form_kwargs(), "data": None, "files": None, "initial": {"username": self.name_tried()}})
            return self.render_to_response(self.get_context_data(form=form, refused=words), status=429)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


class Keep(RedirectURLMixin, Throttled):
    """A guest gets a name and a password, and is no guest any more. Somebody new gets an account without being a guest before."""

    template_name, form_class, next_page = "account/keep.html", KeepForm, HOME
    what, rates = "keep", throttle.NAME_TRIES

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_account(request):
            return HttpResponseRedirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        guest = guest_of(self.request)
        return {**super().get_form_kwargs(), "instance": Student.objects.get(pk=guest.pk) if guest else None}  # a row of the form's own: a wrong form changes it

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        guest = guest_of(self.request)
        return super().get_context_data(**kwargs, keeps=bool(guest and has_work(guest)), next=self.get_redirect_url())

    def form_valid(self, form: KeepForm) -> HttpResponse:  # type: ignore[override]
        form.instance.language = get_language() if settings.LANGUAGE_COOKIE_NAME in self.request.COOKIES else ""
        try:
            with transaction.atomic():
                account = form.save()
        except IntegrityError:  # somebody took the name a moment ago
            form.add_error("username", form.fields["username"].error_messages["unique"])
            return self.form_invalid(form)
        login(self.request, account)  # a fresh session: whoever knew the guest's key is left outside
        visitors.hand_over(self.request, account)
        orders.tell(account.pk)
        messages.success(self.request, _("Your progress is kept under the name “%(name)s”. With it and your password you find it in any browser.") % {"name": account.username})
        return super().form_valid(form)


class SignIn(Throttled, LoginView):
    template_name, authentication_form, next_page = "account/sign_in.html", SignInForm, HOME
    what, name_field = "password", "username"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_account(request):
            return HttpResponseRedirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        guest = guest_of(self.request)
        return super().get_context_data(**kwargs, goes_along=bool(guest and has_work(guest)))

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        account, guest = form.get_user(), guest_of(self.request)
        words = [_("You are signed in as “%(name)s”.") % {"name": account.username}]
        if guest:
            words += take_along(guest, account)
        response = super().form_valid(form)
        visitors.hand_over(self.request, account)
        if guest:
            orders.tell(guest.pk)
            orders.tell(account.pk)
        messages.success(self.request, in_a_row(*words))
        if account.language:
            remember(response, account.language)
        return response


class ChangePassword(Throttled, PasswordChangeView):
    template_name, form_class, success_url = "account/password.html", ChangePasswordForm, reverse_lazy(HOME)
    what = "password"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_account(request):
            return HttpResponseRedirect(reverse("account:sign_in"))
        return super().dispatch(request, *args, **kwargs)

    def name_tried(self) -> str:
        return self.request.user.get_username()

    def form_valid(self, form: BaseForm) -> HttpResponse:
        response = super().form_valid(form)
        orders.tell(self.request.user.pk)
        messages.success(self.request, _("Your password is changed. Other browsers where you were signed in must sign in again."))
        return response


@require_POST
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    if not is_account(request):
        if request.user.is_authenticated:
            raise LabError("guest", _("You have no account yet, so signing out would lose your progress."), _("Keep it under a name first: /account/keep."), status=409)
        return HttpResponseRedirect(reverse(HOME))
    pk, name = request.user.pk, request.user.get_username()
    logout(request)
    orders.tell(pk)
    messages.success(request, _("You are signed out. Your progress is kept under the name “%(name)s”; a lab that runs goes on until its time is up.") % {"name": name})
    return HttpResponseRedirect(reverse(HOME))


@require_POST
@never_cache
def language(request: HttpRequest) -> HttpResponse:
    """Django's own, which checks the language and where to go back to; and an account remembers it for its other browsers."""
    response = set_language(request)
    chosen = response.cookies.get(settings.LANGUAGE_COOKIE_NAME)
    if chosen and is_account(request):
        Student.objects.filter(username=request.user.get_username()).update(language=chosen.value)
    return response


def take_along(guest: Student, account: Student) -> list[str]:
    """What is to be said of it."""
    had_work = has_work(guest)
    try:
        ended = guest.merge_into(account)
    except (Student.DoesNotExist, NoGuest):  # pressed twice, or kept in another tab: the other request was first
        return []
    except IntegrityError as meanwhile:  # a lab was handed out to one of the two at this very moment
        raise LabError("busy", _("Your lab started at the moment when you signed in, so nothing was changed."), _("Sign in again."), status=409) from meanwhile
    if not had_work:
        return []
    if ended:
        orders.enqueue(orders.REMOVE, str(ended.pk))
        return [_("What you did in this browser went along, but not its lab: your account had one running already.")]
    return [_("What you did in this browser went along.")]


def remember(response: HttpResponseBase, language: str) -> None:
    """As set_language does."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,  # type: ignore[arg-type]
    )
