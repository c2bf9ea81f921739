"""The private wire of a sandbox: a bridge alone in a network namespace of its own. Must not know Docker.

The machine has no interface on a wire, so neither the machine, nor Redis, nor the engine, nor another sandbox has an
address that a student could reach, over IPv4, IPv6 or anything else: there is no link. Nothing is filtered because there
is nothing to filter. (Docker's own `network create --internal` leaves the machine's end of the bridge reachable over its
IPv6 link-local address, and its DNS puts rules into the host's nat table.)
"""
import ipaddress
import re

from netcontrol.engine.errors import EngineError, run

FIRST_PORT = 100  # index of the first port: one that no interface of a host has, or `ip` there may name the wrong peer


class Wires:
    """The wires of one lab on one machine; `pool` is cut into /28s, wire n is the n-th of them."""

    def __init__(self, lab_id: str, pool: str):
        self.prefix = f"pb{lab_id}-"
        self.pool = ipaddress.ip_network(pool)
        self.count = 2 ** (28 - self.pool.prefixlen)

    def name(self, number: int) -> str:
        return f"{self.prefix}{number}"

    def address(self, number: int, host: int) -> str:
        """The address of the host-th host (0, 1, …) on wire `number`, without its prefix length. .1 stays free for a gateway."""
        return str(self.pool.network_address + number * 16 + 2 + host)

    def existing(self) -> set[int]:
        """The numbers of the wires that are there now."""
        names = (line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip())
        return {int(m[1]) for name in names if (m := re.fullmatch(re.escape(self.prefix) + r"(\d+)", name))}

    def make(self, number: int) -> None:
        name = self.name(number)
        run("ip", "netns", "add", name)
        try:
            run("ip", "-n", name, "-batch", "-", stdin="link add wire type bridge\nlink set wire addrgenmode none\nlink set wire up\n")
        except EngineError:
            self.remove(number)
            raise

    def plug(self, number: int, port: str, pid: int, address: str) -> None:
        """Give the network namespace of process `pid` an eth0 on this wire. `port` names the other end of the cable."""
        index = FIRST_PORT + int(ipaddress.ip_address(address)) % 16
        run("ip", "-n", self.name(number), "-batch", "-", stdin=f"link add {port} index {index} type veth peer name eth0 netns {pid}\nlink set {port} master wire up\n")
        run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-", stdin=f"addr add {address}/28 broadcast + dev eth0\nlink set eth0 up\n")

    def remove(self, number: int) -> None:
        """Remove the wire, and every cable with it. No error when it is gone already."""
        if number in self.existing():
            run("ip", "netns", "del", self.name(number))
