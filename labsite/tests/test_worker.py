"""A worker that cannot go on ends, in a process of its own."""
import subprocess
import sys

from celery.platforms import EX_FAILURE

from labsite.celery import app
from labsite.worker import LabWorker

STUCK = """
import time
from celery.apps.worker import Worker
from labsite import worker
worker.ENDS_SECONDS = 0.2
Worker.stop = lambda *_: time.sleep(30)
worker.LabWorker.__new__(worker.LabWorker).stop(exitcode={code})
"""


def test_the_lab_runs_it():
    assert issubclass(app.Worker, LabWorker)


def test_one_that_is_stuck_in_its_own_end_ends():
    assert subprocess.run([sys.executable, "-c", STUCK.format(code=EX_FAILURE)], timeout=20).returncode == EX_FAILURE


def test_one_that_was_told_to_end_has_its_time():
    words = STUCK.replace("sleep(30)", "sleep(1)")
    assert subprocess.run([sys.executable, "-c", words.format(code=0)], timeout=20).returncode == 0
