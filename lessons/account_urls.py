from django.urls import path

from lessons import accounts

app_name = "account"
urlpatterns = [
    path("keep", accounts.Keep.as_view(), name="keep"),
    path("sign-in", accounts.SignIn.as_view(), name="sign_in"),
    path("sign-out", accounts.sign_out, name="sign_out"),
    path("password", accounts.ChangePassword.as_view(), name="password"),
    path("language", accounts.language, name="language"),
]
