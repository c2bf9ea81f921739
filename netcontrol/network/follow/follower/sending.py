"""The packet itself, and what the one who sent it hears."""
import errno
import socket
import struct

from netcontrol.network.checksum import checksum


def dns(token):
    """A question that every name server answers: who serves the root. The token is its (harmless) number and nothing else."""
    return token[:2] + b"\x01\0\0\1\0\0\0\0\0\0\0\0\2\0\1"


class Packet:
    """Made in the namespace it is sent from; `fileno` waits for what comes back. `heard` is None until the end is known."""

    def __init__(self, protocol, address, port, number, token):
        self.protocol, self.address, self.port, self.number, self.token = protocol, address, port or 0, number, token
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.heard = None
        self.src = ""
        kind, proto = {
            "tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
            "icmp": (socket.SOCK_RAW, 1 if self.family == socket.AF_INET else 58),
        }[protocol]  # fmt: skip
        self.sock = socket.socket(self.family, kind, proto)
        self.sock.setblocking(False)
        if protocol != "icmp":
            self.sock.bind(("", number))
        self.fileno = self.sock.fileno
        self.writes = protocol == "tcp"  # what to wait for: a connection is there when one can write

    def send(self):
        try:
            code = self.sock.connect_ex((self.address, self.port)) if self.protocol == "tcp" else self.other()
        except OSError as failed:
            code = failed.errno
        try:
            self.src = self.sock.getsockname()[0]
        except OSError:
            pass
        if code not in (0, errno.EINPROGRESS):
            self.heard = errno.errorcode.get(code, "error")
        elif self.protocol == "tcp" and code == 0:
            self.heard = "answered"

    def other(self):
        self.sock.connect((self.address, 0 if self.protocol == "icmp" else self.port))
        if self.protocol == "udp":
            self.sock.send(dns(self.token) if self.port == 53 else b"patchbay " + self.token + b"\n")
            return 0
        kind = 8 if self.family == socket.AF_INET else 128
        body = struct.pack(">HH", self.number, 1) + self.token + bytes(range(40))
        data = struct.pack(">BBH", kind, 0, 0) + body
        if kind == 8:  # of ICMPv6 the kernel makes it
            data = data[:2] + struct.pack(">H", checksum(data)) + body
        self.sock.send(data)
        return 0

    def hear(self):
        """Something happened at the socket."""
        if self.heard is not None:
            return
        if self.protocol == "tcp":
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.heard = errno.errorcode.get(code, "error") if code else "answered"
            return
        for _ in range(100):
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            except OSError as failed:
                self.heard = errno.errorcode.get(failed.errno or 0, "error")
                return
            if self.protocol == "icmp":
                body = data[(data[0] & 15) * 4 :] if self.family == socket.AF_INET and data else data
                if len(body) < 8 or body[0] not in (0, 129) or struct.unpack(">H", body[4:6])[0] != self.number or self.token not in body:
                    continue
            self.heard = "answered"
            return

    def close(self):
        """A connection is closed as any is, so that nobody at its other end sees an error."""
        if self.protocol == "tcp" and self.heard == "answered":
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sock.close()
