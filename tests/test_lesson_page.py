"""The page of a step as a student meets it, in Chromium on the real lab: predict, run, check, read why, take a hint, pass, finish.

What a lab does not do on demand (a check that breaks, a preparation that fails) is said by the test in the server's place.
"""
import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route

from .browsing import at_prompt, clean, do, said, text, until
from .conftest import LESSON

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

State = dict[str, Any]


def open_step(page: Page, number: int = 1, lesson: str = LESSON) -> None:
    page.goto(f"/lessons/{lesson}/{number}/")


def start_here(page: Page) -> None:
    if page.viewport_size and page.viewport_size["width"] <= 760:
        page.locator("[data-drawer]").click()
        page.wait_for_timeout(300)
    page.get_by_role("button", name=said(page, "Start your lab")).click()
    until(page, lambda: at_prompt(page), 40, "a prompt")


def stands(page: Page) -> State:
    """What the page was told of its step when it was loaded."""
    return json.loads(page.locator("#step-state").text_content() or "")


def told(page: Page, what: str, change: Callable[[State], None]) -> None:
    """From now on the server's answer to this request, and to a look at the state, is the step's own with a change."""
    state = stands(page) | {"preparing": None, "belongs": None}

    def answer(route: Route) -> None:
        change(state)
        route.fulfill(json=state)

    for path in {what, "state"}:
        page.unroute(f"**/lessons/*/*/{path}")
        page.route(f"**/lessons/*/*/{path}", answer)


def with_checks(page: Page, least: int = 2) -> None:
    """Go to the first step that has so many checks, of which the first is no question."""
    open_step(page)
    for number in range(1, page.locator("#steps a").count() + 1):
        open_step(page, number)
        checks = stands(page)["checks"]
        if len(checks) >= least and checks[0]["kind"] != "ask":
            return
    pytest.skip(f"no step of {LESSON} has {least} checks")


def row(page: Page, number: int) -> Locator:
    return page.locator("[data-check]").nth(number)


def announced(page: Page) -> str:
    return page.locator("[data-graded]").inner_text()


# A lesson from its first page to its end


def predict(page: Page) -> None:
    for n in range(page.locator("[data-quiz]").count()):
        quiz = page.locator("[data-quiz]").nth(n)
        if quiz.get_attribute("data-answered"):
            continue
        quiz.locator(".opt").first.click()
        quiz.locator("[data-answer]").click()
        until(page, lambda q=quiz: q.locator("[data-told]").is_visible(), what="the answer to a prediction")
        assert quiz.locator(".opt.correct").count() == 1
        assert len(quiz.locator("[data-told]").inner_text()) > 20


def run_blocks(page: Page, again: bool = False) -> int:
    """Every block of the step, in order; or `again` those that failed before the reader had done their own part."""
    pressed = 0
    for block in page.locator(".run[data-block]").all():
        if again and block.get_attribute("data-state") != "fail":
            continue
        line = block.locator("code").inner_text()
        background = block.get_attribute("data-shell") != block.get_attribute("data-host")
        page.wait_for_timeout(450 if again else 0)  # a press on a button that has just changed means what it was before
        block.locator("[data-run]").click()
        pressed += 1
        if again:
            until(page, lambda b=block: b.get_attribute("data-state") == "busy", 10, f"the start of {line}")
        wanted = ("busy",) if background else ("done", "fail", "halt")
        until(page, lambda b=block, w=wanted: b.get_attribute("data-state") in w, 60, f"the end of {line}")
        assert background or not again or block.get_attribute("data-state") == "done", f"{line}\n{block.inner_text()}\n{text(page)[-1500:]}"
    return pressed


def passed(page: Page) -> bool:
    return page.locator("[data-check]:not(.passed)").count() == 0


def be_stuck(page: Page) -> None:
    """Check before anything is done, read why it fails, take a hint."""
    page.locator("[data-check-all]").click()
    until(page, lambda: page.locator("[data-check].failed").count() > 0, what="a failed check")
    failed = page.locator("[data-check].failed").first
    assert failed.locator("[data-reason]").inner_text().strip()
    assert said(page, "Failed: {check}").partition("{check}")[0] in announced(page)
    hint = failed.locator("[data-hint]")
    if hint.is_visible():
        hint.click()
        until(page, lambda: failed.locator("[data-hints]").is_visible(), what="a hint")
        assert failed.locator("[data-hints]").inner_text().startswith(said(page, "Hint {n} of {all}.").partition("{all}")[0].format(n=1))


def solve(page: Page) -> None:
    """Look at the solution, type it, answer the questions with what it says."""
    if not page.locator("[data-solution]").is_visible():
        page.get_by_role("button", name=said(page, "Show the solution…")).click()
        page.locator("[data-show-solution]").click()
        until(page, lambda: page.locator("[data-solution]").is_visible(), what="the solution")
    for n in range(page.locator(".script").count()):
        script = page.locator(".script").nth(n)
        host = script.locator("p code").inner_text()
        page.get_by_role("tab", name=host, exact=True).click()
        do(page, f"cat > /tmp/solution <<'THERE'\n{script.locator('pre').inner_text()}\nTHERE", host)
        do(page, "bash -e /tmp/solution", host, 60)
    until(page, lambda: page.locator("[data-check]:not(.passed):not(:has([data-reply]))").count() == 0, 20, "the checks after the solution")
    if page.locator("[data-check]:not(.passed)").count():
        page.locator("[data-renew]").click()
        not_yet = said(page, "Not there yet: your host says it once the rest of the step is done.")
        until(page, lambda: not_yet not in page.locator("[data-solution] dl").inner_text(), 20, "the answers")
    answers = dict(zip(page.locator("[data-solution] dt").all_inner_texts(), page.locator("[data-solution] dd").all_inner_texts(), strict=True))
    for name in page.locator("[data-check]:not(.passed)").evaluate_all("rows => rows.map(row => row.dataset.check)"):
        asked = page.locator(f"[data-check='{name}']")
        answer = answers[asked.locator("b").inner_text()]
        if asked.locator(".field").count():
            asked.locator(".field").fill(answer)
        else:
            asked.locator(".opt").filter(has_text=answer.strip("`")).first.click()
        asked.locator("[data-answer]").click()
        until(page, lambda a=asked: "passed" in (a.get_attribute("class") or ""), what=f"the answer {answer!r} to {name}")


@pytest.mark.parametrize("page", ["en-US", "zh-CN"], indirect=True)
def test_a_lesson_is_walked_to_its_end_and_the_contents_say_so(page):
    open_step(page)
    assert page.locator(".read").get_attribute("lang") == page.locator("html").get_attribute("lang"), "the lesson is in the page's language"
    predict(page)  # before there is a lab
    start_here(page)
    stuck, clicked = False, 0
    while True:
        predict(page)
        if not stuck and page.locator("[data-check]:not(:has([data-reply]))").count():
            be_stuck(page)
            stuck = True
        clicked += run_blocks(page)
        if not passed(page):
            solve(page)
        until(page, lambda: passed(page), what="the end of the step")
        run_blocks(page, again=True)
        following = page.get_by_role("link", name=said(page, "Next step"))
        if not following.count():
            break
        until(page, lambda f=following: "solid" in f.get_attribute("class"), what="the way on")
        title = page.locator("h1").inner_text()
        following.click()
        until(page, lambda t=title: page.locator("h1").inner_text() != t, what="the next step")
    assert clicked
    until(page, lambda: page.locator("[data-end=done]").is_visible(), what="the end of the lesson")
    assert page.locator("#steps .g:not([hidden])").count() == page.locator("#steps li").count()
    page.get_by_role("link", name=said(page, "To the contents")).click()
    page.wait_for_url("**/")
    assert page.locator(".mod li.here .st").inner_text().strip() == said(page, "done")
    module = page.locator(".mod:has(li.here)")
    assert module.locator(".of").inner_text() == said(page, "%(done)s of %(of)s done") % {"done": 1, "of": module.locator("li").count()}
    assert page.get_by_text(said(page, "You have done")).is_visible()


# Quizzes


def test_a_prediction_by_key_alone_stays_after_a_reload(page):
    """A visitor, without a lab."""
    open_step(page)
    if not page.locator("[data-quiz]").count():
        pytest.skip(f"the first step of {LESSON} has no quiz")
    quiz = page.locator("[data-quiz]").first
    assert quiz.get_by_role("group").first.inner_text()
    quiz.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Answer"
    assert "solid" in quiz.locator("[data-answer]").get_attribute("class")
    page.keyboard.press("Enter")
    until(page, lambda: page.evaluate("document.activeElement.matches('[data-told]')"), what="the explanation in focus")
    said = quiz.locator("[data-told]").inner_text()
    page.reload()
    until(page, lambda: quiz.locator("[data-told]").is_visible(), what="the answer after a reload")
    assert quiz.locator("[data-told]").inner_text() == said
    assert quiz.get_by_role("radio").nth(1).is_checked() and quiz.get_by_role("radio").nth(1).is_disabled()


# Checks


def test_each_state_of_a_check_is_said_in_words_and_nothing_jumps(page):
    with_checks(page)
    start_here(page)
    page.wait_for_timeout(500)

    def unknown(state: State) -> None:
        state["checks"][0] |= {"state": "unknown", "why": "Not known: it took longer than 5 s and was stopped.", "waits_for": ""}
        state["checks"][1] |= {"state": "waits", "why": "", "waits_for": state["checks"][0]["title"]}

    told(page, "check", unknown)
    page.locator("[data-check-all]").click()
    until(page, lambda: "Not known: it took longer" in row(page, 0).inner_text(), what="an unknown check")
    assert "unknown" in row(page, 0).get_attribute("class") and row(page, 0).evaluate("row => getComputedStyle(row.querySelector('b')).color") != "rgb(186, 30, 32)"
    assert "waits for the check above" in row(page, 1).inner_text()
    assert "Not known" in announced(page)
    before = page.locator(".dock").bounding_box()

    def slowly(route: Route) -> None:
        page.wait_for_timeout(1800)
        route.fulfill(status=503, json={"code": "busy", "message": "The lab’s worker does not answer.", "what_to_do": "Try again in a few seconds."})

    page.unroute("**/lessons/*/*/check")
    page.route("**/lessons/*/*/check", slowly)
    page.locator("[data-check-all]").click()
    until(page, lambda: "asking, 1 s of 5" in row(page, 0).inner_text(), what="the seconds of an evaluation")
    assert page.locator(".dock").bounding_box() == before
    assert page.locator("[data-check-all]").get_attribute("aria-disabled") == "true"
    until(page, lambda: page.locator("[data-trouble]").is_visible(), what="why it was not evaluated")
    assert "Try again in a few seconds." in page.locator("[data-trouble]").inner_text()
    assert "unknown" in row(page, 0).get_attribute("class")


def test_a_command_that_ends_while_the_step_is_prepared_is_looked_at_then(page):
    with_checks(page)
    asked: list[object] = []
    page.route("**/lessons/*/*/enter", lambda route: (page.wait_for_timeout(3000), route.continue_()))
    page.route("**/lessons/*/*/check", lambda route: (asked.append(route.request.post_data_json), route.continue_()))
    start_here(page)
    do(page, "echo early")
    assert page.evaluate("() => window.patchbay.busy()") and not asked
    until(page, lambda: asked, what="the evaluation afterwards")
    page.wait_for_timeout(500)
    assert asked == [{"auto": True, "answers": {}}]


def test_commands_are_checked_by_themselves_one_evaluation_at_a_time(page):
    with_checks(page)
    start_here(page)
    until(page, lambda: not page.evaluate("() => window.patchbay.busy()"), what="the step's preparation")
    under_way, most, asked = 0, 0, []

    def slowly(route: Route) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        asked.append(route.request.post_data_json)
        page.wait_for_timeout(1000)
        state = stands(page) | {"preparing": None, "done": len(asked) > 1}
        for check in state["checks"] if state["done"] else []:
            check |= {"state": "passed", "why": ""}
        under_way -= 1
        route.fulfill(json=state)

    page.route("**/lessons/*/*/check", slowly)
    for n in range(4):
        do(page, f"echo {n}")
    until(page, lambda: passed(page), what="the checks")
    until(page, lambda: not under_way, what="the end of the evaluations")
    assert most == 1 and 2 <= len(asked) <= 3 and all(body["auto"] for body in asked)
    until(page, lambda: announced(page) == "All checks passed.", what="one announcement")
    before = len(asked)
    do(page, "echo over")
    page.wait_for_timeout(500)
    assert len(asked) == before  # a step that is done is not evaluated again


def test_next_is_held_and_says_what_it_waits_for(page):
    with_checks(page)
    start_here(page)
    told(page, "check", lambda state: state.update(held=True))
    page.locator("[data-check-all]").click()
    following = page.locator("[data-next]")
    until(page, lambda: following.get_attribute("aria-disabled") == "true", what="a held step")
    assert "Next step waits for" in page.locator(".tally").inner_text()
    here = page.url
    following.focus()
    page.keyboard.press("Enter")
    until(page, lambda: "Next step waits for" in announced(page), what="the word why")
    assert page.url == here

    def done(state: State) -> None:
        state.update(held=False, done=True)
        for check in state["checks"]:
            check["state"] = "passed"

    told(page, "check", done)
    page.locator("[data-check-all]").click()
    until(page, lambda: following.get_attribute("aria-disabled") is None, what="the way on")


# What a step begins with


def test_a_lab_is_started_again_at_a_later_step(page):
    """The real thing: what the steps before make is there."""
    open_step(page)
    start_here(page)
    do(page, "touch /root/kept")
    last = page.locator("#steps a").count()
    page.locator(".stepsb").click()
    page.locator("#steps a").nth(last - 1).click()
    until(page, lambda: f"Step {last} of" in page.locator(".stepsb").inner_text(), what="the last step")
    page.locator(".stepsb").click()
    page.get_by_role("button", name=f"Start again at step {last}…").click()
    page.locator("#ask-again button.solid").click()
    until(page, lambda: page.locator("#ask-again").is_hidden(), what="the dialog’s end")
    until(page, lambda: "kept" not in text(page) and at_prompt(page) and not page.locator(".lab").get_attribute("data-stage"), 90, "a lab at the last step")
    assert "no" in do(page, "test -e /root/kept && echo yes || echo no").split()
    until(page, lambda: not page.locator("[data-run][aria-disabled]").count(), what="Run")


def test_run_waits_while_a_step_is_built_and_then_goes_out(page):
    open_step(page)
    if not page.locator(".run[data-block]").count():
        pytest.skip(f"the first step of {LESSON} has nothing to run")
    ready = False

    def built(state: State) -> None:
        state["preparing"] = None if ready else {"of": 3, "at": 2, "title": "Start a container", "seconds": 3.2, "failed": ""}

    told(page, "enter", built)
    page.get_by_role("button", name=said(page, "Start your lab")).click()
    until(page, lambda: page.locator("[data-building-at]").is_visible(), 40, "the wait")
    assert page.locator("[data-building]").inner_text() == "Building the state of step 1"
    assert page.locator("[data-building-at]").inner_text().startswith("Step 2 of 3, “Start a container”, ")
    block = page.locator(".run[data-block]").first
    block.locator("[data-run]").click()
    assert "waits for the step" in block.inner_text()
    clean(page)
    page.wait_for_timeout(1000)
    assert block.get_attribute("data-state") == "queued"
    ready = True
    until(page, lambda: block.get_attribute("data-state") == "done", what="the command that waited")


def test_a_preparation_that_failed_says_why_and_offers_a_fresh_start(page):
    open_step(page)
    told(page, "enter", lambda state: state.update(preparing={"of": 2, "at": 1, "title": "One", "seconds": 1.0, "failed": "“docker network create blue” ended with exit 1."}))
    page.get_by_role("button", name=said(page, "Start your lab")).click()
    until(page, lambda: page.get_by_text("Step 1 could not be prepared.").is_visible(), 40, "the failure")
    stage = page.locator("[data-when='broken']")
    assert "ended with exit 1" in stage.inner_text() and "not of yours" in stage.inner_text()
    assert stage.get_by_role("button", name="Start again at step 1").is_visible()
    clean(page)
    page.unroute("**/lessons/*/*/enter")
    page.unroute("**/lessons/*/*/state")
    stage.get_by_role("button", name="Start again at step 1").click()
    until(page, lambda: at_prompt(page) and not page.locator(".lab").get_attribute("data-stage"), 60, "a fresh lab")


@pytest.mark.parametrize("usable", [True, False], ids=["same hosts", "other hosts"])
def test_a_lab_of_another_lesson_is_not_shown_as_if_it_fitted(page, usable):
    open_step(page)
    start_here(page)
    do(page, "echo of-the-other-lesson")
    told(page, "enter", lambda state: state.update(belongs={"lesson": "Two segments", "url": "/lessons/x/", "usable": usable}))
    page.reload()
    until(page, lambda: page.get_by_text("Your lab was started for “Two segments”.").is_visible(), what="the notice")
    page.wait_for_timeout(800)
    assert "of-the-other-lesson" not in page.locator("[data-screens]").inner_text() or not page.locator("[data-tabs]").is_visible()
    for block in page.locator("[data-run]").all()[:1]:
        assert block.get_attribute("aria-disabled") == "true"
    clean(page)
    adopt = page.locator("[data-when='elsewhere'] [data-adopt]")
    assert adopt.is_visible() == usable
    page.unroute("**/lessons/*/*/enter")
    page.unroute("**/lessons/*/*/state")
    if usable:
        adopt.click()
        until(page, lambda: at_prompt(page) and "of-the-other-lesson" in text(page), what="the lab as it is")
    else:
        page.get_by_role("button", name="Start a fresh lab for this lesson").click()
        until(page, lambda: at_prompt(page) and "of-the-other-lesson" not in text(page), 60, "a fresh lab")


# Within reach


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (1000, 700), (390, 844), (320, 640), (720, 450)], ids=["wide", "medium", "phone", "narrow", "zoomed"])
def test_a_step_that_is_answered_failed_and_solved_is_within_reach(page, scheme, size):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    with_checks(page)
    start_here(page)
    if size[0] <= 760:
        page.locator("[data-drawer]").click()
        page.wait_for_timeout(400)
    predict(page)
    page.locator("[data-check-all]").click()
    until(page, lambda: page.locator("[data-check].failed").count() > 0, what="a failed check")
    clean(page)
    hint = page.locator("[data-hint]:visible").first
    if hint.count():
        hint.click()
    page.get_by_role("button", name="Show the solution…").click()
    clean(page)
    page.locator("[data-show-solution]").click()
    until(page, lambda: page.evaluate("document.activeElement.textContent") == "Solution", what="the solution in focus")
    clean(page)
    dock = page.locator(".dock").bounding_box()
    assert size[0] <= 760 or dock["height"] <= 0.62 * size[1]
    page.goto("/")
    clean(page)
