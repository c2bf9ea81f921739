"""A Celery worker that ends when it cannot go on. Must not know tasks."""
import os
import threading

from celery.apps.worker import Worker
from celery.platforms import EX_FAILURE

ENDS_SECONDS = 3.0


class LabWorker(Worker):
    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """After an error that nobody foresaw (a broker that goes away at a bad moment is one), Celery waits for its pool and its broker, perhaps for
        ever, and whoever watches over its process sees one that lives. It has a moment for that, then it ends and is started again."""
        if exitcode == EX_FAILURE:
            ends = threading.Timer(ENDS_SECONDS, os._exit, (EX_FAILURE,))
            ends.daemon = True
            ends.start()
        super().stop(in_sighandler, exitcode)
