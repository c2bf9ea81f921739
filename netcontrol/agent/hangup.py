"""What is left of a terminal's session a while after the terminal was hung up. Must not know: shells, connections.

A program that was told to outlive a hang-up and let go of the terminal (`nohup`, `setsid`) is nobody's business here.
"""
import contextlib
import os
import signal


def hang_up(leader: int) -> None:
    """What a window that is closed tells the shell in it: bash passes it on to its jobs. A stopped one must wake up to hear it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGHUP)
        os.kill(leader, signal.SIGCONT)


def kill_rest(session: int, terminal: str) -> None:
    """Kill the leader, and whatever of the session has the terminal open. The number stays the session's while one of it lives."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended by itself
            process = os.pidfd_open(int(name))  # first, so that it is this process that is looked at and killed
            try:
                if _session(name) == session and (int(name) == session or _holds(name, terminal)):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
            finally:
                os.close(process)


def _session(pid: str) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[3])


def _holds(pid: str, terminal: str) -> bool:
    """The terminal's name may be taken again by now; of this session it is the old one, and its name says ` (deleted)`."""
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(f"{folder}/{fd}").removesuffix(" (deleted)") == terminal for fd in os.listdir(folder))
