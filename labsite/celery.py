"""The Celery app. Queues and schedule are in settings.py; the tasks are in netcontrol/tasks.py and lessons/tasks.py.

Logs are as settings.LOGGING says, and a task's lines have its name, its sandbox, and the id of the request that ordered it.
"""
import ctypes
import os
import signal

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, worker_process_init
from structlog.contextvars import bound_contextvars, get_contextvars

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")


class LabTask(Task):
    def __call__(self, *args, **kwargs):
        known = {"task": self.name.rpartition(".")[2], "request": getattr(self.request, "ordered_by", None)}
        if self.run.__code__.co_varnames[:1] == ("sandbox_id",) and args:
            known["sandbox"] = args[0]
        with bound_contextvars(**{name: value for name, value in known.items() if value}):
            return super().__call__(*args, **kwargs)


class LabCelery(Celery):
    @property
    def Worker(self) -> type:
        return self.subclass_with_self("labsite.worker:LabWorker")


app = LabCelery("patchbay", task_cls=LabTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def leave_logs_alone(**_) -> None:
    """Celery sets up none where somebody listens here; Django has done it."""


@worker_process_init.connect
def die_with_the_worker(**_) -> None:
    """A process of the prefork pool whose worker is killed would wait for work for ever: nobody else has a reason to end it."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@before_task_publish.connect
def name_who_orders(headers: dict, **_) -> None:
    if request := get_contextvars().get("request"):
        headers["ordered_by"] = request
