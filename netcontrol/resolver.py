"""How a name is resolved as a container or a namespace itself would. Sent to a host as text, ahead of the program that uses it.

Runs under the host's own python3 with nothing but the standard library. Must not know: who asks.
"""
import os
import socket
import struct
import time

NAME_SECONDS = 1.2  # for name servers
DOCKERS_OWN = "127.0.0.11"


class No(Exception):
    """The answer is that there is no such thing: a code, as ask.py knows it."""


def lines(folder, name):
    """The lines of a small file; /etc/<name> where the folder of a namespace has none of its own."""
    for path in (f"{folder}/{name}", f"/etc/{name}"):
        if path == f"/etc/{name}" and folder.startswith("/proc/"):
            break
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            return os.read(fd, 65536).decode(errors="replace").splitlines()
        except OSError:
            break
        finally:
            os.close(fd)
    return []


def literal(text):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
            return family
        except OSError:
            continue
    return None


def resolve(name, etc):
    """Addresses that a name stands for, as the files in `etc` say: hosts first, then the name servers."""
    if literal(name):
        return [name]
    found = []
    for line in lines(etc, "hosts"):
        words = line.partition("#")[0].split()
        if name.lower() in (word.lower() for word in words[1:]) and literal(words[0]):
            found.append(words[0])
    if found:
        return found
    servers, search, ndots = [], [], 1
    for line in lines(etc, "resolv.conf"):
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1 and literal(words[1]):
            servers.append(words[1])
        elif words[:1] in (["search"], ["domain"]):
            search = words[1:3]
        elif words[:1] == ["options"]:
            for word in words[1:]:
                if word.startswith("ndots:") and word[6:].isdigit():
                    ndots = int(word[6:])
    if not servers:
        raise No("no-nameserver")
    full = [f"{name}.{domain}" for domain in search]
    candidates = [name, *full] if name.count(".") >= ndots else [*full, name]
    heard = False
    for candidate in candidates[:2]:
        for server in servers[:2]:
            answer = ask_server(server, candidate, NAME_SECONDS / len(servers[:2]))
            if answer is None:
                continue
            heard = True
            if answer:
                return answer
            break
        if not heard:
            break
    if heard or servers[0] == DOCKERS_OWN:  # which is silent when it knows no name, and the one that it asks does not answer
        raise No("no-name")
    raise No("nameserver-silent:" + servers[0])


def ask_server(server, name, seconds):
    """Addresses, IPv4 first; [] when the server knows none; None when it does not answer. Both are asked at once."""
    try:
        labels = b"".join(bytes((len(label),)) + label for label in (part.encode("idna") for part in name.strip(".").split(".")))
    except ValueError:
        return []
    end = time.monotonic() + seconds
    got: dict = {}
    try:
        with socket.socket(literal(server), socket.SOCK_DGRAM) as sock:
            sock.connect((server, 53))
            for kind in (1, 28):
                sock.send(struct.pack(">6H", kind, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1))
            while len(got) < 2 and time.monotonic() < end:
                sock.settimeout(max(0.01, end - time.monotonic()))
                try:
                    kind, code, addresses = read_answer(sock.recv(4096))
                except (struct.error, IndexError, ValueError):
                    continue
                if kind in (1, 28):
                    got[kind] = addresses if code in (0, 3) else None  # 3: there is no such name
    except OSError:
        pass
    answers = [got[kind] for kind in (1, 28) if got.get(kind) is not None]
    return [address for some in answers for address in some] if answers else None


def read_answer(data):
    """(the question's number, the code, its addresses) of a name server's answer."""
    number, flags, questions, answers = struct.unpack(">4H", data[:8])
    at = 12
    for _ in range(questions):
        at = after_name(data, at) + 4
    found = []
    for _ in range(answers):
        at = after_name(data, at)
        kind, _, _, size = struct.unpack(">2HIH", data[at : at + 10])
        at += 10
        if (kind, size) in ((1, 4), (28, 16)):
            found.append(socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, data[at : at + size]))
        at += size
    return number, flags & 15, found


def after_name(data, at):
    while data[at]:
        if data[at] >= 192:
            return at + 2
        at += 1 + data[at]
    return at + 1
