"""What goes by on every interface of a namespace: no more of it than may be ours, with the kernel's own times."""
import contextlib
import ctypes
import socket
import struct

MOST_PACKETS = 500
MOST_OTHERS = 60  # of what is not ours, but may explain: who asked for which hardware address, which connections began
SO_TIMESTAMPNS, SO_ATTACH_FILTER = 35, 26
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SYN, RST, ACK = 2, 4, 16
VXLAN = 4789
OUTGOING, OTHERHOST = 4, 3

# Packets in plenty may go by: the kernel hands over ARP, ICMP that is not some other ping's, TCP that begins or breaks off, and UDP of our port.
# (code, value, where to jump when true, when not): "yes", "no", or a label. Loads begin at the network header.
LDB, LDH, LDBX, LDHX, MSH, JEQ, JSET = 0x30, 0x28, 0x50, 0x48, 0xB1, 0x15, 0x45
PROTOCOL = 0xFFFFF000


def filter_of(port):
    lines = [
        ("", LDH, PROTOCOL, "", ""), ("", JEQ, ARP, "yes", ""), ("", JEQ, IPV4, "four", ""), ("", JEQ, IPV6, "six", "no"),
        ("four", LDB, 9, "", ""), ("", JEQ, ICMP, "icmp", ""), ("", JEQ, TCP, "tcp", ""), ("", JEQ, UDP, "udp", "no"),
        ("icmp", MSH, 0, "", ""), ("", LDBX, 0, "", ""), ("", JEQ, 8, "echo", ""), ("", JEQ, 0, "echo", "yes"),
        ("echo", LDHX, 4, "", ""), ("", JEQ, port, "yes", "no"),
        ("tcp", MSH, 0, "", ""), ("", LDBX, 13, "", ""), ("", JSET, SYN | RST, "yes", "no"),
        ("udp", MSH, 0, "", ""), ("", LDHX, 0, "", ""), ("", JEQ, port, "yes", ""), ("", LDHX, 2, "", ""), ("", JEQ, port, "yes", ""), ("", JEQ, VXLAN, "vxlan", "no"),
        ("vxlan", LDHX, 50, "", ""), ("", JEQ, port, "yes", ""), ("", LDHX, 52, "", ""), ("", JEQ, port, "yes", ""), ("", LDHX, 54, "", ""), ("", JEQ, port, "yes", "no"),
        ("six", LDB, 6, "", ""), ("", JEQ, ICMP6, "icmp6", ""), ("", JEQ, TCP, "tcp6", ""), ("", JEQ, UDP, "udp6", "no"),
        ("icmp6", LDB, 40, "", ""), ("", JEQ, 128, "echo6", ""), ("", JEQ, 129, "echo6", "yes"),
        ("echo6", LDH, 44, "", ""), ("", JEQ, port, "yes", "no"),
        ("tcp6", LDB, 53, "", ""), ("", JSET, SYN | RST, "yes", "no"),
        ("udp6", LDH, 40, "", ""), ("", JEQ, port, "yes", ""), ("", LDH, 42, "", ""), ("", JEQ, port, "yes", "no"),
        ("no", 0x06, 0, "", ""), ("yes", 0x06, 0xFFFF, "", ""),
    ]  # fmt: skip
    at = {label: n for n, (label, *_) in enumerate(lines) if label}
    return [(code, at[yes] - n - 1 if yes else 0, at[no] - n - 1 if no else 0, value) for n, (_, code, value, yes, no) in enumerate(lines)]


class Capture:
    """A socket in the namespace that one is in now. It ends with this process."""

    def __init__(self, space, port, token):
        self.space, self.port, self.token = space, port, token
        self.indexes = {name: index for index, name in socket.if_nameindex()}
        self.packets, self.others, self.left_out = [], 0, 0
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # every interface, every kind
        program = filter_of(port)
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.fileno = self.sock.fileno

    def read(self):
        """True when ICMP complained about ours."""
        over = False
        for _ in range(200):
            try:
                data, said, _flags, (name, protocol, kind, _hatype, _address) = self.sock.recvmsg(512, 128)
            except OSError:
                break
            stamp = next((struct.unpack("qq", value) for level, key, value in said if key == SO_TIMESTAMPNS and len(value) == 16), (0, 0))
            try:
                packet = parsed(data, protocol, self.token)
            except (struct.error, IndexError, OSError):
                continue
            if packet is None:
                continue
            packet["ours"] = self.ours(packet)
            over |= packet["ours"] and "inner" in packet and packet["icmp"] != 5
            if not packet["ours"] and packet["type"] == "tcp" and packet["flags"] & (SYN | RST | ACK) != SYN:
                continue
            self.others += not packet["ours"]
            if len(self.packets) >= MOST_PACKETS or (not packet["ours"] and self.others > MOST_OTHERS):
                self.left_out += 1
                continue
            self.packets.append({"at": stamp[0] * 10**9 + stamp[1], "space": self.space, "if": self.indexes.get(name, 0), "name": name,
                                 "out": kind == OUTGOING, "strange": kind == OTHERHOST, **packet})  # fmt: skip
        return over

    def ours(self, packet):
        return self.port in (packet.get("sport"), packet.get("dport"), packet.get("id")) or bool(packet.get("token")) or (
            "inner" in packet and self.port in (packet["inner"].get("sport"), packet["inner"].get("dport"), packet["inner"].get("id"))
        )  # fmt: skip


def parsed(data, protocol, token, depth=0):
    """What is in a packet that begins with its network header, or None when it is none of ours to read."""
    if protocol == ARP:
        if data[:6] != b"\0\1\x08\0\6\4":
            return None
        text = data[8:14].hex(":")
        return {"type": "arp", "asks": data[7] == 1, "mac": text, "src": socket.inet_ntoa(data[14:18]), "dst": socket.inet_ntoa(data[24:28])}
    if protocol == IPV4 and data[0] >> 4 == 4:
        at, kind, ttl = (data[0] & 15) * 4, data[9], data[8]
        src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
        if struct.unpack(">H", data[6:8])[0] & 0x1FFF:
            return None
    elif protocol == IPV6 and data[0] >> 4 == 6:
        at, kind, ttl = 40, data[6], data[7]
        src, dst = (socket.inet_ntop(socket.AF_INET6, data[n : n + 16]) for n in (8, 24))
    else:
        return None
    packet = {"src": src, "dst": dst, "ttl": ttl}
    body = data[at:]
    if kind == TCP:
        sport, dport = struct.unpack(">HH", body[:4])
        packet |= {"type": "tcp", "sport": sport, "dport": dport}
        if len(body) >= 14:  # an ICMP error quotes 8 bytes
            packet |= {"flags": body[13], "seq": struct.unpack(">I", body[4:8])[0], "ack": struct.unpack(">I", body[8:12])[0]}
        return packet
    if kind == UDP:
        sport, dport = struct.unpack(">HH", body[:4])
        if dport == VXLAN and not depth and len(body) > 30:
            inner = parsed(body[30:], struct.unpack(">H", body[28:30])[0], token, 1)
            if inner:
                return {**inner, "through": [src, dst]}
        return packet | {"type": "udp", "sport": sport, "dport": dport, "token": token in body}
    if kind in (ICMP, ICMP6):
        number, code = body[0], body[1]
        packet |= {"type": "icmp", "icmp": number, "code": code}
        if (kind, number) in ((ICMP, 8), (ICMP, 0), (ICMP6, 128), (ICMP6, 129)):
            return packet | {"id": struct.unpack(">H", body[4:6])[0], "echo": "ask" if number in (8, 128) else "answer", "token": token in body}
        if (kind, number) in ((ICMP6, 135), (ICMP6, 136)):
            return packet | {"type": "arp", "asks": number == 135, "mac": "", "dst": socket.inet_ntop(socket.AF_INET6, body[8:24])}
        if number in ((3, 4, 5, 11, 12) if kind == ICMP else (1, 2, 3, 4)) and not depth:
            inner = parsed(body[8:], IPV4 if kind == ICMP else IPV6, token, 1)
            return packet | {"inner": inner, "mtu": struct.unpack(">H", body[6:8])[0] if kind == ICMP else struct.unpack(">I", body[4:8])[0]} if inner else None
    return None
