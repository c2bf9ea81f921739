"""Why a lab ended is kept in English and said in the reader's language."""
import re
from pathlib import Path

import pytest
from django.utils import translation

from netcontrol import why
from netcontrol.engine import host
from netcontrol.models import Sandbox
from netcontrol.state import lab_state
from netcontrol.tests.agent_fixtures import make_sandbox


@pytest.mark.parametrize("sentence", why.SENTENCES)
def test_every_sentence_is_said_again(sentence):
    kept = sentence % {"time": "14:05", "minutes": 30, "mib": 1024, "host": "lab", "seconds": "10", "why": "no space. Left on device", "title": "A. B"}
    assert why.say(kept) == kept
    with translation.override("zh-hans"):
        said = why.say(kept)
    assert re.search(r"[\u4e00-\u9fff]", said) and "%" not in said
    assert [value in said for value in ("14:05", "30", "1024", "no space. Left on device")] == [value in kept for value in ("14:05", "30", "1024", "no space. Left on device")]


def test_two_sentences_and_what_nobody_knows():
    kept = "lab did not start: systemd did not come up within 10 s. This is a fault of the lab, not of yours: get another one."
    assert why.say(kept) == kept
    with translation.override("zh-hans"):
        assert re.fullmatch(r"lab .*10.*。 ?这是.*。", why.say(kept))
        assert why.say("`ip` failed: something.") == "`ip` failed: something."
        assert why.say("") == ""


def test_what_the_engine_says_of_a_boot_is_known():
    """Its sentences are written in host.py; each must be one of these."""
    said = re.findall(r'EngineError\("boot", f"([^"]+)"', Path(host.__file__).read_text())
    assert len(said) >= 4
    for sentence in said:
        text = re.sub(r"\{what\}", "systemd did not come up", sentence)
        text = re.sub(r"\{[^}]+\}", "7", text)
        assert any(why._pattern(known).fullmatch(text) for known in why.BOOT), sentence


@pytest.mark.django_db
def test_a_student_reads_it_in_their_language(alice):
    sandbox = make_sandbox(alice)
    sandbox.end(why.IDLE % {"minutes": 30})
    assert lab_state(alice)["why"] == Sandbox.objects.get(pk=sandbox.pk).why == "Your lab ended: nothing was typed or read for 30 minutes."
    with translation.override("zh-hans"):
        assert re.match(r"[\u4e00-\u9fff]", lab_state(alice)["why"])
