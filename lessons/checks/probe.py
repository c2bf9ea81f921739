"""Looks at a host from inside: sent there as text, answers with one JSON object. See ask.py for how, and for what is asked.

Runs under the host's own python3 with nothing but the standard library, as root, and changes nothing. Network namespaces are
entered with setns, so that nothing needs to be installed in a container. Must not know: checks, Django.
"""
import json
import os
import socket
import stat
import sys
import time

from netcontrol.agent.limits import MAX_LOOKED_AT
from netcontrol.agent.untrusted import read_json
from netcontrol.places import docker, enter, output, received  # in a host they are one text: see netcontrol.inside.program
from netcontrol.resolver import No, resolve

CONNECT_SECONDS = 1.5  # for a connection, an answer on it, or a ping
MOST_OF_FILE = 8 * 1024 * 1024


# Reaching


def connect(address, port):
    with_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(with_family, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_SECONDS)
    try:
        sock.connect((address, port))
    except TimeoutError:
        sock.close()
        raise No("timeout") from None
    except ConnectionRefusedError:
        sock.close()
        raise No("refused") from None
    except OSError as failed:
        sock.close()
        raise No({101: "no-route", 113: "no-neighbour"}.get(failed.errno or 0, "error")) from None
    return sock


def http(sock, host, port, path):
    """The status of the answer to one GET."""
    where = f"[{host}]" if ":" in host else host
    end = time.monotonic() + CONNECT_SECONDS
    try:
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: {where}:{port}\r\nUser-Agent: curl\r\n\r\n".encode())
        data = received(sock, end, 4096, b"\n")
    except TimeoutError:
        raise No("http-timeout") from None
    except OSError:
        raise No("http-closed") from None
    words = data.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise No("http-odd" if data else "http-closed")
    return int(words[1][:3])


def ping(address):
    code, out = output("ping", "-n", "-c", "1", "-W", str(CONNECT_SECONDS), address)
    if code == 0:
        return
    low = out.lower()
    if "network is unreachable" in low or "net unreachable" in low:
        raise No("no-route")
    raise No("no-neighbour" if "host unreachable" in low else "timeout")


def reach(q):
    etc = enter(q)
    tried, began = None, time.monotonic()
    for address in resolve(q["goal"], etc)[:2]:
        if tried and time.monotonic() - began > CONNECT_SECONDS / 2:
            break  # both would take longer than a step's checks may
        try:
            if q["how"] == "ping":
                ping(address)
                return {"address": address}
            with connect(address, q["port"]) as sock:
                status = http(sock, q["goal"], q["port"], q["path"]) if q["how"] == "http" else 0
                return {"address": address, "status": status}
        except No as no:
            tried = tried or (str(no), address)
    return {"no": tried[0], "address": tried[1]} if tried else {"no": "no-name"}


# What there is


def many_docker(q):
    return {"said": [docker(path) for path in q["paths"]]}


def addresses(q):
    enter(q)
    return {"links": ip("-d", "addr")}


def routes(q):
    enter(q)
    return {"routes": ip(f"-{q['version']}", "route", "show", "table", "main")}


def ip(*argv):
    code, out = output("ip", "-j", *argv)
    if code:
        raise No("ip-failed")
    return read_json(out or "[]", MAX_LOOKED_AT)


def nat(q):
    tables = "iptables-save" if q["version"] == 4 else "ip6tables-save"
    return {"iptables": output(tables, "-t", "nat")[1], "nft": read_json(output("nft", "-j", "list", "ruleset")[1] or "{}", MAX_LOOKED_AT)}


def listening(q):
    code, out = output("ss", "-Hltnp")
    if code:
        raise No("ss-failed")
    return {"lines": out.splitlines()}


def service(q):
    code, out = output("systemctl", "show", "-p", "LoadState,ActiveState,SubState", "--", q["name"])
    if code:
        raise No("systemd-silent")
    return {"said": dict(line.split("=", 1) for line in out.splitlines() if "=" in line)}


def file(q):
    try:
        fd = os.open(q["path"], os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return {"kind": "none"}
    except NotADirectoryError:
        return {"kind": "none"}
    except OSError as failed:
        return {"kind": "closed", "errno": failed.errno or 0}
    try:
        found = os.fstat(fd)
        answer = {"mode": f"{stat.S_IMODE(found.st_mode):04o}"}
        if stat.S_ISDIR(found.st_mode):
            return {**answer, "kind": "folder"}
        if not stat.S_ISREG(found.st_mode):
            return {**answer, "kind": "special"}
        text = os.read(fd, MOST_OF_FILE).decode(errors="replace") if q["texts"] else ""
        return {**answer, "kind": "file", "holds": [part in text for part in q["texts"]]}
    finally:
        os.close(fd)


ASKED = {
    "docker": many_docker, "addresses": addresses, "routes": routes, "reach": reach, "nat": nat,
    "resolve": lambda q: {"addresses": resolve(q["name"], enter(q))}, "listening": listening, "service": service, "file": file,
}  # fmt: skip


def main(question):
    try:
        answer = ASKED[question["ask"]](question)
    except No as no:
        answer = {"no": str(no)}
    except ValueError:
        answer = {"no": "odd"}
    sys.stdout.write(json.dumps(answer))
