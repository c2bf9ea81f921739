"""What a process that carries keystrokes sets once: they must not wait for its other threads, nor for its garbage. Must not know what it does."""
import gc
import sys

SWITCH_SECONDS = 0.0005  # Python lets a thread that asks the database keep the loop waiting for 5 ms


def prefer_latency() -> None:
    """Call when everything is imported."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # Django's and Celery's own objects, looked through by every full collection, are tens of milliseconds
