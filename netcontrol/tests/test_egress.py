"""What an operator may write into PATCHBAY_EGRESS, and what each of it means."""
from ipaddress import ip_network

import pytest

from netcontrol.egress import Destination, destination, destinations

WIRES = "10.73.0.0/16"


@pytest.mark.parametrize(
    ("text", "network", "port", "protocol"),
    [
        ("203.0.113.0/24:443/tcp", "203.0.113.0/24", 443, "tcp"),
        (" 203.0.113.7 ", "203.0.113.7/32", None, None),
        ("203.0.113.7:53", "203.0.113.7/32", 53, None),
        ("203.0.113.0/24/udp", "203.0.113.0/24", None, "udp"),
        ("0.0.0.0/0:443/tcp", "0.0.0.0/0", 443, "tcp"),
        ("10.9.0.0/16:80/tcp", "10.9.0.0/16", 80, "tcp"),
        ("[2001:db8::/32]:443/tcp", "2001:db8::/32", 443, "tcp"),
        ("2001:db8::443", "2001:db8::443/128", None, None),
        ("2001:db8::/32/icmp", "2001:db8::/32", None, "icmp"),
        ("::/0", "::/0", None, None),
    ],
)
def test_read(text, network, port, protocol):
    assert destination(text) == Destination(ip_network(network), port, protocol)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("example.org:443", "is not of the form"),
        ("203.0.113.7:80:90", "is not of the form"),
        ("203.0.113.7; drop", "is not of the form"),
        ("203.0.113.7/24", "has host bits set"),
        ("203.0.113.7:0", "a port is a number from 1 to 65535"),
        ("203.0.113.7:99999", "a port is a number from 1 to 65535"),
        ("203.0.113.7/gre", "the protocol is one of tcp, udp, icmp"),
        ("203.0.113.7:8/icmp", "icmp has no ports"),
        ("169.254.169.254:80/tcp", "is never let out"),
        ("127.0.0.0/8", "is never let out"),
        ("[fe80::/64]:80", "is never let out"),
        ("[::ffff:169.254.169.254]:80", "is never let out"),
        ("64:ff9b::a9fe:a9fe", "is never let out"),
        ("224.0.0.1", "is never let out"),
        ("10.73.4.0/24", "the students' own wires"),
    ],
)
def test_refused(text, words):
    with pytest.raises(ValueError, match=words):
        destinations(["203.0.113.7", text], WIRES)


def test_nothing_is_nothing():
    assert destinations([], WIRES) == destinations(["", " "], WIRES) == []


@pytest.mark.parametrize(("text", "private"), [("10.9.0.0/16", True), ("10.0.0.0/8", True), ("fd12::/16", True), ("0.0.0.0/0", False), ("203.0.113.0/24", False)])
def test_private_only_when_it_is_named(text, private):
    assert destination(text).private is private
