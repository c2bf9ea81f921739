"""The private wire of a sandbox: a bridge alone in a network namespace of its own. Must not know Docker.

The machine has no interface on a wire, so neither the machine, nor Redis, nor the engine, nor another sandbox has an
address that a student could reach, over IPv4, IPv6 or anything else: there is no link. Nothing is filtered because there
is nothing to filter, unless the operator lets hosts out: see gateway.py. (Docker's own `network create --internal` leaves the
machine's end of the bridge reachable over its IPv6 link-local address, and its DNS puts rules into the host's nat table.)

The bridge remembers nothing of what students send: what it would learn of senders and groups is kernel memory that nobody is charged
for. It knows where the addresses are that the lab gave, and carries what is for others to every port.
"""
import ipaddress
import re

from netcontrol.engine.errors import EngineError, run

FIRST_PORT = 100  # index of the first port: one that no interface of a host has, or `ip` there may name the wrong peer
GATEWAY = -1  # as a host's number: the first address of a wire


class Wires:
    """The wires of one lab on one machine; `pool` is cut into /28s, wire n is the n-th of them. The last is not a wire: see gateway.py."""

    def __init__(self, lab_id: str, pool: str):
        self.prefix = f"pb{lab_id}-"
        self.pool = ipaddress.ip_network(pool)
        self.pool6 = ipaddress.IPv6Network(f"fd70:6200:{lab_id}::/48")
        self.count = 2 ** (28 - self.pool.prefixlen) - 1

    def name(self, number: int) -> str:
        return f"{self.prefix}{number}"

    def address(self, number: int, host: int) -> str:
        """The address of the host-th host (0, 1, …) on wire `number`, without its prefix length (28)."""
        return str(self.pool.network_address + number * 16 + 2 + host)

    def address6(self, number: int, host: int) -> str:
        """Its IPv6 address, without its prefix length (124). Given only to hosts that are let out over IPv6."""
        return str(self.pool6.network_address + number * 16 + 2 + host)

    def existing(self) -> set[int]:
        """The numbers of the wires that are there now."""
        return {int(m[1]) for name in namespaces() if (m := re.fullmatch(re.escape(self.prefix) + r"(\d+)", name))}

    def make(self, number: int) -> None:
        name = self.name(number)
        run("ip", "netns", "add", name)
        try:
            run("ip", "-n", name, "-batch", "-", stdin="link add wire type bridge mcast_snooping 0\nlink set wire addrgenmode none\nlink set wire up\n")
        except EngineError:
            self.remove(number)
            raise

    def cable(self, number: int, port: str, address: str, end: str, namespace: str) -> None:
        """Lay a cable from this wire to an interface `end`, still down, in a network namespace (a name, or a process' id). `port` names the other end."""
        name, mac = self.name(number), hardware_address(address)
        index = FIRST_PORT + int(ipaddress.ip_address(address)) % 16
        run(
            "ip", "-n", name, "-batch", "-",
            stdin=f"link add {port} index {index} type veth peer name {end} address {mac} netns {namespace}\n"
            f"link set {port} addrgenmode none master wire up\n"
            f"link set {port} type bridge_slave learning off\n",
        )  # fmt: skip
        run("bridge", "-n", name, "fdb", "add", mac, "dev", port, "master", "static")

    def plug(self, number: int, port: str, pid: int, address: str) -> None:
        """Give the network namespace of process `pid` an eth0 on this wire. `port` names the other end of the cable."""
        self.cable(number, port, address, "eth0", str(pid))
        run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-", stdin=f"addr add {address}/28 broadcast + dev eth0\nlink set eth0 up\n")

    def remove(self, number: int) -> None:
        """Remove the wire, and every cable with it. No error when it is gone already."""
        if number in self.existing():
            run("ip", "netns", "del", self.name(number))


def hardware_address(address: str) -> str:
    """Made of the IPv4 address, as Docker does: the wire has to know it, for it does not learn."""
    return "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")


def namespaces() -> list[str]:
    """The names of the network namespaces of this machine."""
    return [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]
