"""The real agent with its observer, in a world of its own: namespaces, cables and rules are this machine's kernel's, Docker is not there."""
import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from netcontrol.tests.agent_fixtures import AgentProcess, Talk, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
ROOM = "mount -t tmpfs none /run && mkdir /run/netns && exec \"$@\""
WORLD = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", ROOM, "sh")


class Watcher(Talk):
    """Keeps what was seen last."""

    body: dict | None = None

    async def more(self) -> None:
        before = len(self.came)
        await super().more()
        for kind, value in self.came[before:]:
            if kind == "N" and value[1]:
                self.body = json.loads(value[1])

    async def snapshot(self, seconds: float = 10, **fields) -> dict:
        """The head of the next one, with `body`: None when it is as before."""
        async with asyncio.timeout(seconds):
            while True:
                for at, (kind, value) in enumerate(self.came):
                    if kind == "N" and all(value[0][key] == wanted for key, wanted in fields.items()):
                        del self.came[: at + 1]
                        return {**value[0], "body": json.loads(value[1]) if value[1] else None}
                await self.more()

    async def after(self, text: str) -> dict | None:
        """What there is after this command: None when it did nothing."""
        finished = await self.run(text)
        assert finished["exit_code"] == 0, self.printed()[-500:]
        return (await self.snapshot(after=[["main", finished["id"]]]))["body"]

    async def until_it_shows(self, true) -> dict:
        async with asyncio.timeout(10):
            while not (self.body and true(self.body)):
                await self.more()
        return self.body


@pytest.fixture
def agent(tmp_path):
    process = AgentProcess(tmp_path / "dock", tmp_path / "home", WORLD).start()
    yield process
    process.stop()


@pytest.fixture
async def watcher(agent):
    watcher = await Watcher.to(agent.dock)
    await watcher.open()
    watcher.link.send("watch", on=True)
    watcher.first = await watcher.snapshot()
    yield watcher
    watcher.link.close()


def observers(agent) -> list[int]:
    """As they are here, of this agent."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        children[int(folder.name)] = (stat.partition("(")[2].rpartition(")")[0], int(stat.rpartition(")")[2].split()[1]), stat.rpartition(")")[2].split()[0])

    def below(pid: int) -> bool:
        while pid in children and pid != agent.process.pid:
            pid = children[pid][1]
        return pid == agent.process.pid

    return [pid for pid, (name, _, state) in children.items() if name == "observer" and state != "Z" and below(pid)]


def root(body: dict) -> dict:
    (space,) = [space for space in body["spaces"] if space["root"]]
    return space


def named(body: dict, name: str) -> dict:
    (space,) = [space for space in body["spaces"] if name in space["names"]]
    return space


def links(space: dict) -> dict:
    return {link["ifname"]: link for link in space["links"]}


async def test_what_a_command_did_is_in_the_snapshot_after_it(watcher):
    assert list(links(root(watcher.first["body"]))) == ["lo"] and watcher.first["after"] == [] and watcher.first["n"] == 1
    assert await watcher.after("true") is None
    body = await watcher.after("ip netns add red; ip netns add blue")
    assert len(body["spaces"]) == 3 and named(body, "red")["pid"] == 0
    body = await watcher.after("ip link add r0 type veth peer name eth0 netns red")
    here, there = links(root(body))["r0"], links(named(body, "red"))["eth0"]
    assert (here["link_index"], there["link_index"]) == (there["ifindex"], here["ifindex"])
    assert root(body)["peers"] == {str(here["link_netnsid"]): named(body, "red")["id"]} and named(body, "red")["peers"] == {str(there["link_netnsid"]): root(body)["id"]}
    body = await watcher.after("ip -n red addr add 10.1.0.2/24 dev eth0; ip -n red link set eth0 up; ip link set r0 up")
    assert links(named(body, "red"))["eth0"]["addr_info"][0]["local"] == "10.1.0.2"
    assert {"family": "ip", "dst": "10.1.0.0/24", "dev": "eth0"}.items() <= named(body, "red")["routes"][0].items()
    body = await watcher.after("ip -n blue link set lo up")  # no cable leads there
    assert links(named(body, "blue"))["lo"]["operstate"] == "UNKNOWN"
    body = await watcher.after("ip netns exec red sysctl -qw net.ipv4.ip_forward=1")
    assert named(body, "red")["forward"] == {"ip": True, "ip6": False} and root(body)["forward"]["ip"] is False
    body = await watcher.after("ip netns del red; ip netns del blue")
    assert len(body["spaces"]) == 1
    await watcher.until_it_shows(lambda body: list(links(root(body))) == ["lo"])  # nobody holds the namespace: its cable goes with it


async def test_rules(watcher):
    assert (await watcher.after("iptables -t nat -A POSTROUTING -s 10.1.0.0/24 -j MASQUERADE"))["spaces"][0]["iptables"].endswith(
        "-A POSTROUTING -s 10.1.0.0/24 -j MASQUERADE\nCOMMIT"
    )
    assert await watcher.after("iptables-save > /dev/null") is None
    body = await watcher.after("ip netns add red; ip netns exec red iptables -A INPUT -p tcp --dport 80 -j DROP")
    assert "--dport 80 -j DROP" in named(body, "red")["iptables"] and "DROP" not in root(body)["iptables"]
    assert "DROP" not in named(await watcher.after("ip netns exec red iptables -F"), "red")["iptables"]


async def test_rules_that_are_none_of_iptables(watcher):
    body = await watcher.after("nft add table inet mine; nft add chain inet mine c; nft add rule inet mine c counter drop; nft add table inet patchbay_follow")
    assert [kind for object in root(body)["nft"] for kind in object] == ["table", "chain", "rule"], "what is ours is not told"
    assert await watcher.after("nft delete table inet patchbay_follow") is None
    assert root(await watcher.after("nft flush ruleset"))["nft"] == []


async def test_what_no_command_did_is_told_too(watcher, agent):
    (observer,) = observers(agent)
    subprocess.run(["nsenter", "-t", str(observer), "--net", "ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"], check=True)
    head = await watcher.snapshot()
    assert head["after"] == [] and {"d0", "d1"} <= links(root(head["body"])).keys()


async def test_what_the_kernel_does_not_tell_is_found(watcher):
    code = "import socket, time; s = socket.create_server((\"127.0.0.1\", 8080)); time.sleep(60)"
    await watcher.run(f"(sleep 0.7; exec python3 -c '{code}') & unshare --net sleep 60 &")
    body = await watcher.until_it_shows(lambda body: root(body)["listen"] and len(body["spaces"]) == 2)
    assert [{**listener, "program": ""} for listener in root(body)["listen"]] == [{"proto": "tcp", "family": "ip", "address": "127.0.0.1", "port": 8080, "program": ""}]
    assert root(body)["listen"][0]["program"].startswith("python")
    await watcher.run("kill %1 %2")
    await watcher.until_it_shows(lambda body: not root(body)["listen"] and len(body["spaces"]) == 1)


async def test_news_of_a_young_command_waits_for_its_end(watcher):
    finished = await watcher.run("ip link add a0 type veth peer name a1; sleep 0.8; ip link add b0 type veth peer name b1")
    head = await watcher.snapshot()
    assert head["after"] == [["main", finished["id"]]] and {"a0", "b0"} <= links(root(head["body"])).keys()
    finished = await watcher.run("ip link del a0; sleep 4; ip link del b0")
    head = await watcher.snapshot()
    assert head["after"][0][1] < finished["id"] and {"a0", "b0"} & links(root(head["body"])).keys() == {"b0"}, "an old one's is told meanwhile"


async def test_nothing_while_nobody_looks(agent):
    watcher = await Watcher.to(agent.dock)
    await watcher.open()
    await watcher.run("true")
    assert observers(agent) == []
    watcher.link.send("watch", on=True)
    first = await watcher.snapshot()
    assert first["body"] and first["after"] == [["main", 1]] and len(observers(agent)) == 1
    watcher.link.send("watch", on=True)  # said again: all of it again
    second = await watcher.snapshot()
    assert second["body"] == first["body"] and second["n"] == first["n"] + 1
    await until(lambda: len(observers(agent)) == 1)
    watcher.link.send("watch", on=False)
    await until(lambda: observers(agent) == [])
    watcher.link.send("watch", on=True)
    await watcher.snapshot()
    watcher.link.close()
    await until(lambda: observers(agent) == [])


async def test_another_worker_is_told_all_of_it_when_it_asks(agent, watcher):
    other = await Watcher.to(agent.dock)
    await until(lambda: observers(agent) == [])
    other.link.send("watch", on=True)
    assert (await other.snapshot())["body"] == watcher.first["body"]


async def test_an_observer_that_was_killed_comes_back(agent, watcher):
    os.kill(observers(agent)[0], 9)
    assert (await watcher.snapshot())["failed"]
    assert (await watcher.snapshot(failed=""))["body"] == watcher.first["body"]


async def test_a_program_that_hangs_costs_its_time_and_no_more(watcher):
    """The student may put anything in its place."""
    await watcher.after("ip link add a0 type veth peer name a1")
    await watcher.run("mount --bind /bin/yes /usr/sbin/iptables-save; printf '#!/bin/sh\\nexec sleep 60' > /tmp/ip$$; chmod +x /tmp/ip$$; mount --bind /tmp/ip$$ $(readlink -f /sbin/ip); rm /tmp/ip$$")
    began = time.monotonic()
    finished = await watcher.run("brctl addbr br0 2> /dev/null; true")
    head = await watcher.snapshot(after=[["main", finished["id"]]])
    assert time.monotonic() - began < 12
    if head["body"]:
        assert "a0" in links(root(head["body"])), "what it said before still stands"
    await watcher.run("umount $(readlink -f /sbin/ip)")
    body = await watcher.after("ip link del a0")
    assert list(links(root(body))) == ["lo"] or "br0" in links(root(body))


async def test_a_terminal_that_is_closed_hangs_up_while_somebody_watches(watcher):
    watcher.send("shell.input", shell="main", data="sleep 1000\r")
    await watcher.get("command.started")
    watcher.send("shell.close", shell="main")
    assert (await watcher.get("shell.closed", seconds=1.9))["asked"]
