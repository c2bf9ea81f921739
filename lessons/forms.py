"""The forms of accounts: Django's own, in the lab's words. Must not know: HTTP, sessions, progress."""
from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UserCreationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from lessons.models import Student

PASSWORD_HELP = _("At least 8 characters. Not only digits, not your name, and none of the passwords that everybody uses.")
DIFFERENT = _("The two passwords are not the same.")


class KeepForm(UserCreationForm):
    """A name and a password: for a guest's own row (`instance`), or for a new one."""

    class Meta(UserCreationForm.Meta):
        model = Student

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.error_messages = {**self.error_messages, "password_mismatch": DIFFERENT}
        name, password, again = (self.fields[field] for field in ("username", "password1", "password2"))
        name.label, name.help_text = _("Name"), _("You sign in with it. Letters, digits and @ . + - _")
        name.error_messages |= {"unique": _("This name is taken. Choose another one."), "invalid": _("A name has only letters, digits and @ . + - _")}
        password.label, password.help_text = _("Password"), PASSWORD_HELP
        again.label, again.help_text = _("The same password again"), ""
        self.initial.pop("username", None)  # a guest's is nobody's name

    def clean_username(self) -> str:
        name = super().clean_username()
        if name and name.lower().startswith("guest-"):
            raise ValidationError(_("Names that begin with “guest-” are those of guests. Choose another one."))
        return name


class SignInForm(AuthenticationForm):
    """It says the same for a name that is not there and for a wrong password."""

    error_messages = {
        "invalid_login": _("The name or the password is not right. Upper and lower case count in both."),
        "inactive": _("The name or the password is not right. Upper and lower case count in both."),
    }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["username"].label, self.fields["password"].label = _("Name"), _("Password")


class ChangePasswordForm(PasswordChangeForm):
    error_messages = {"password_mismatch": DIFFERENT, "password_incorrect": _("Your old password is another one.")}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        old, new, again = (self.fields[field] for field in ("old_password", "new_password1", "new_password2"))
        old.label, new.label, again.label = _("Old password"), _("New password"), _("The new password again")
        new.help_text, again.help_text = PASSWORD_HELP, ""

