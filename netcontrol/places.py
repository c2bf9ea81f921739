"""Where something is looked at or tried in a host: in a container, in a network namespace, or on the host itself. Sent there as text.

Runs under the host's own python3 with nothing but the standard library, as root, and changes nothing: namespaces are entered with
setns, so that nothing has to be installed in a container. Must not know: what is done there, who asks.
"""
import os
import socket
import time

from netcontrol.agent.limits import MAX_LOOKED_AT
from netcontrol.agent.observe.files import dockerd_runs, runs
from netcontrol.agent.untrusted import read_json
from netcontrol.resolver import No

DOCKER = "/run/docker.sock"
DOCKER_SECONDS = 3.0  # for one answer of dockerd


def received(sock, end, most, until=None):
    """What comes before the other side has done, `end`, `until` or about `most` bytes. Raises OSError, TimeoutError among them."""
    data = b""
    while len(data) < most and (until is None or until not in data):
        sock.settimeout(max(0.01, end - time.monotonic()))
        piece = sock.recv(min(65536, most))
        if not piece:
            break
        data += piece
    return data


# Docker


def docker(path):
    """(HTTP status, what it said) of one GET."""
    if not dockerd_runs():
        raise No("dockerd-down")
    end = time.monotonic() + DOCKER_SECONDS
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.settimeout(DOCKER_SECONDS)
            sock.connect(DOCKER)
            sock.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            data = received(sock, end, MAX_LOOKED_AT)
        except OSError:
            raise No("dockerd-silent") from None
    head, _, body = data.partition(b"\r\n\r\n")
    try:
        return int(head.split()[1]), read_json(body, MAX_LOOKED_AT)
    except (ValueError, IndexError):
        raise No("dockerd-odd") from None


# Where


def pid_of(container):
    quoted = "".join(c if (c.isascii() and c.isalnum()) or c in "_.-" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in container)
    status, said = docker(f"/containers/{quoted}/json")
    if status == 404:
        return pid_of_podman(container)
    try:
        if said["Name"] != "/" + container:  # found by the beginning of an id
            return pid_of_podman(container)
        pid = said["State"]["Pid"]
    except (KeyError, TypeError):
        raise No("dockerd-odd") from None
    if not pid:
        raise No("stopped")
    return int(pid)


def pid_of_podman(container):
    if not runs("conmon"):  # the parent of each container that podman runs
        raise No("no-container")
    code, out = output("podman", "inspect", "--type", "container", "--format", "{{.State.Pid}}", "--", container)
    if code or not out.strip().isdigit():
        raise No("no-container")
    if int(out) == 0:
        raise No("stopped")
    return int(out)


def pid_in(space):
    """A process in the network namespace with this inode, one of a container's if there is any; None when there is none."""
    found = None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == f"net:[{space}]":
                found = pid
                if os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/1/ns/mnt"):
                    return pid
        except OSError:
            continue
    return found


def enter(place):
    """Go to a container's network namespace, to a named one, to one with an inode, or stay. Returns the folder that holds its resolv.conf and hosts."""
    pid = pid_in(place["space"]) if place.get("space") else None
    if pid is None and place.get("container"):
        pid = pid_of(place["container"])
    if pid is not None:
        name, etc = f"/proc/{pid}/ns/net", f"/proc/{pid}/root/etc"
    elif place.get("space"):
        raise No("stopped")
    elif place.get("netns"):
        name, etc = f"/run/netns/{place['netns']}", f"/etc/netns/{place['netns']}"
    else:
        return "/etc"
    try:
        fd = os.open(name, os.O_RDONLY)
    except OSError:
        raise No("stopped" if place.get("container") else "no-netns") from None
    try:
        os.setns(fd, 0x40000000)  # type: ignore[attr-defined]  # CLONE_NEWNET; the host's Python has it, 3.11 does not
    except OSError:
        raise No("no-netns") from None
    finally:
        os.close(fd)
    return etc


def output(*argv):
    """(exit code, what it printed on both streams) of a program."""
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2), (os.POSIX_SPAWN_CLOSE, reading)]
    try:
        pid = os.posix_spawnp(argv[0], argv, {**os.environ, "LC_ALL": "C.UTF-8"}, file_actions=actions)
    except OSError:
        os.close(reading)
        raise No("no-program:" + argv[0]) from None
    finally:
        os.close(writing)
    with open(reading, "rb") as stream:
        out = stream.read(MAX_LOOKED_AT)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode(errors="replace")
