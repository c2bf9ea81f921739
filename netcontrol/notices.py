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


def notify(student_id: Any) -> None:
    """Tell this student's pages to read the state again. From tasks and views; never raises: pages look by themselves too."""
    try:
        async_to_sync(_notify)(student_id)
    except Exception as down:  # the layer's errors are those of whatever is behind it
        log.warning("no notice to student %s: %s", student_id, down)


async def _notify(student_id: Any) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group(student_id), {"type": "lab.changed"})


async def anotify(student_id: Any) -> None:
    try:
        await _notify(student_id)
    except Exception as down:
        log.warning("no notice to student %s: %s", student_id, down)
