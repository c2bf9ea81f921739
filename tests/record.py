"""Plays the scenes of `netcontrol/network/tests/scenes.py` on a running lab and writes down what the agents see, for the unit tests.

    .venv/bin/python -m tests.record [SCENE…]      with the environment of that lab (PATCHBAY_VAR, PATCHBAY_PORT)
"""
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")
django.setup()

from django.conf import settings  # noqa: E402

from labsite.client import Guest  # noqa: E402
from netcontrol.network.tests import recorded  # noqa: E402
from netcontrol.network.tests.recorded import Moment  # noqa: E402
from netcontrol.network.tests.scenes import SCENES, Scene  # noqa: E402
from tests.driving import lab_of  # noqa: E402
from tests.inside import hosts_of, in_host, look  # noqa: E402

SETTLE_SECONDS = 8.0  # a program that has just started listens a moment later


def settled(guest: Guest, hosts: list[dict[str, str]]) -> dict[str, dict]:
    """The bodies, once two looks in a row see the same."""
    before, end = None, time.monotonic() + SETTLE_SECONDS
    while True:
        bodies = look(guest, hosts)
        if bodies == before or time.monotonic() > end:
            return bodies
        before = bodies
        time.sleep(0.7)


def record(scene: Scene) -> None:
    with Guest(f"http://127.0.0.1:{settings.PORT}", scene.lesson) as guest:
        hosts = hosts_of(lab_of(guest))
        told = [Moment("", "", settled(guest, hosts))]
        for n, (host, command) in enumerate(scene.steps, 1):
            in_host(guest, command, host, 120)
            if scene.every or n == len(scene.steps):
                told.append(Moment(host, command, settled(guest, hosts)))
        path = recorded.write(scene.name, hosts, told)
        print(f"{path.name}: {len(told)} moments, {path.stat().st_size // 1024} KiB", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or SCENES:
        record(SCENES[name])
