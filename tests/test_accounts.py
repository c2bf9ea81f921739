"""In Chromium: a guest keeps their progress under a name, and finds it in another browser; what was done there without a name goes along."""
import uuid

import pytest

from .browsing import at_prompt, axe, do, start, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PASSWORD = "correct horse 7"


def someone() -> str:
    return f"alice-{uuid.uuid4().hex[:8]}"


def run(page, command: str) -> str:
    """In the terminal of a page that may just have been opened."""
    until(page, lambda: at_prompt(page), what="the prompt")
    return do(page, command)


def next_step(page) -> None:
    before = page.url
    page.get_by_role("link", name="Next step").click()
    until(page, lambda: page.url != before, what="the next step")


def keep(page, name: str) -> None:
    page.get_by_role("link", name="Keep your progress").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Keep my progress").click()
    page.get_by_text(f"Your progress is kept under the name “{name}”.").wait_for()


def sign_in(page, name: str) -> None:
    page.goto("/account/sign-in")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text(f"You are signed in as “{name}”.").wait_for()


def test_kept_and_found_again(page, chromium, lab):
    name = someone()
    start(page)
    next_step(page)
    run(page, "kept=still-here")
    keep(page, name)
    assert page.url.endswith("/2/"), "back where they were"
    assert "still-here" in run(page, "echo $kept"), "the same shell"
    elsewhere = chromium.new_context(base_url=lab.url)
    other = elsewhere.new_page()
    sign_in(other, name)
    other.get_by_role("link", name="Continue step 2").click()
    assert "still-here" in run(other, "echo $kept"), "the same lab in another browser"
    page.get_by_role("button", name=f"Account {name}").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
    assert "still-here" in run(other, "echo $kept"), "the other browser is not signed out"
    elsewhere.close()
    sign_in(page, name)
    page.get_by_role("link", name="Continue step 2").click()


def test_signing_out_closes_the_terminals_of_other_tabs(page):
    name = someone()
    start(page)
    next_step(page)
    keep(page, name)
    tab = page.context.new_page()
    tab.goto("/")
    tab.get_by_role("button", name=f"Account {name}").click()
    tab.get_by_role("button", name="Sign out").click()
    until(page, lambda: page.get_by_text("You have no lab yet.").is_visible(), what="the end of the terminal in the first tab")
    sign_in(tab, name)
    tab.close()
    page.reload()
    assert "4" in run(page, "echo $((2 + 2))")


def test_a_guest_s_work_goes_along(page, chromium, lab):
    name = someone()
    start(page)
    keep(page, name)
    elsewhere = chromium.new_context(base_url=lab.url)
    other = elsewhere.new_page()
    start(other)
    next_step(other)
    next_step(other)
    other.goto("/account/sign-in")
    other.get_by_text("goes along into yours").wait_for()
    sign_in(other, name)
    other.get_by_text("went along, but not its lab: your account had one running already.").wait_for()
    other.get_by_role("link", name="Continue step 3").wait_for()
    elsewhere.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (320, 700)], ids=["wide", "phone"])
def test_nothing_is_out_of_reach(page, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})

    def sound() -> None:
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]

    page.goto("/account/sign-in")
    page.get_by_label("Name", exact=True).fill("nobody")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("The name or the password is not right.").wait_for()
    sound()
    page.get_by_role("link", name="I have no account").click()
    page.get_by_role("button", name="Make the account").click()
    page.get_by_text("This field is required.").first.wait_for()
    sound()
    name = someone()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text(f"Your progress is kept under the name “{name}”.").wait_for()
    page.get_by_role("button", name="More" if size[0] < 760 else f"Account {name}").click()
    sound()
    page.get_by_role("link", name="Change password").click()
    page.get_by_role("button", name="Change password").wait_for()
    sound()
