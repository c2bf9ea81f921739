"""Ends tasks of an event loop, for certain. Must not know what they do."""
import asyncio
from collections.abc import Iterable


async def cancel(tasks: Iterable[asyncio.Task]) -> None:
    """End these tasks, and wait until they have. A cancellation can be swallowed by what is being awaited (`wait_for` in
    Python 3.11 does it), so it is repeated."""
    tasks = list(tasks)
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)
    await asyncio.gather(*tasks, return_exceptions=True)  # so that none of their errors is called unheard
