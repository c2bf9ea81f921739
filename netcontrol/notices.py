"""“Read the state again”, to a student's pages, over the channel layer. It may lose a notice: pages also look by themselves.

Must not know what changed.
"""
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = logging.getLogger(__name__)


def group(student_id: Any) -> str:
    return f"student.{student_id}"


def notify(*student_ids: Any) -> None:
    """Tell these students' pages to read the state again. From tasks and views; never raises: pages look by themselves too."""
    async_to_sync(anotify)(*student_ids)  # all at once: each call has a loop of its own, and with it a connection


async def anotify(*student_ids: Any) -> None:
    layer = get_channel_layer()
    try:
        for student in student_ids if layer else ():
            await layer.group_send(group(student), {"type": "lab.changed"})
    except Exception as down:  # the layer's errors are those of whatever is behind it
        log.warning("no notice to %d students: %s", len(student_ids), down)
