"""Why a lab ended, or did not start: the sentences that stand in its row. Kept in English, said in the language of whoever reads them.

A row is written by a worker, which has no reader, and may be read in both languages. Must not know: rows, pages.
"""
import re
from functools import lru_cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from netcontrol.templatetags.said import in_a_row

ASKED = _("You asked for a fresh one.")
ENDED = _("You ended it.")
OTHER_HOSTS = _("You went on to a lesson that needs other hosts.")
OTHER_LESSON = _("You went on to the lesson “%(title)s”, which begins in a fresh lab.")
SIGNED_IN = _("You signed in, and a lab of your account was running already.")
TIME_UP = _("Your lab ended at %(time)s: its time was up.")
IDLE = _("Your lab ended: nothing was typed or read for %(minutes)s minutes.")
FAT = _("Your lab ended: a host had written more than %(mib)s MiB to its disk.")
SHUT_DOWN = _("Your lab ended: its host %(host)s was shut down or restarted from inside, and a host here starts only once.")
GROUPS = _("Your lab ended: a host had made thousands of cgroups, and all hosts of this machine share what there are.")
UNDER_WAY = _("Your lab ended: a host had hundreds of files under way in sockets, and all hosts of this machine share how many there may be.")
HOST_STOPPED = _("Your lab's host stopped: the machine or its engine was restarted.")
RESTARTED = _("The lab was restarted while your lab started. You keep your place.")
LATE = _("Your lab did not start in time. This is a fault of the lab, not of yours: get another one.")
ENGINE = _("The lab's engine does not answer.")

# What engine/host.py says when a host does not boot: its two sentences, as a row has them.
_FAULT = _("This is a fault of the lab, not of yours: get another one.")
BOOT = (
    _("%(host)s did not start: it ended at once."),
    _("%(host)s stopped while it was starting."),
    _("%(host)s did not start: systemd did not come up within %(seconds)s s."),
    _("%(host)s did not start: systemd runs, but dockerd did not answer within %(seconds)s s."),
    _("The host could not be started: %(why)s."),
    _("The lab's images are missing, so no host can be started."),
    _("The lab's disk has no room for another host."),
)
SENTENCES = (ASKED, ENDED, OTHER_HOSTS, OTHER_LESSON, SIGNED_IN, TIME_UP, IDLE, FAT, GROUPS, UNDER_WAY, SHUT_DOWN, HOST_STOPPED, RESTARTED, LATE, ENGINE, *BOOT)


def say(kept: str) -> str:
    """A row's sentences in the language of now; what is not known stays as it is."""
    for sentence in SENTENCES:
        if found := _pattern(sentence).fullmatch(kept):
            said = gettext(sentence) % {name: value for name, value in found.groupdict().items() if name != "fault"}
            return in_a_row(said, gettext(_FAULT) if found["fault"] else "")
    return kept


@lru_cache
def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+?)", re.escape(sentence)) + rf"(?P<fault>\s+{re.escape(_FAULT)})?")
