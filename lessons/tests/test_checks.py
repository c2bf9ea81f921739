"""Each typed check, on what real hosts have answered (recorded.json): it passes, or says in one sentence what is not so."""
import copy
import json
import re
from pathlib import Path

import pytest
from django.utils.translation import override
from pydantic import ValidationError

from lessons.checks import TYPES, Verdict
from lessons.checks.verdict import LONGEST, clean, names, say
from netcontrol.inside import Answer, NoAnswer, NoHost

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
ASKED = re.compile(r"main\(json\.loads\((.*)\)\)\n")


class Host:
    """Answers as the hosts did that were recorded; a test changes what it wants to be otherwise."""

    def __init__(self):
        self.said = copy.deepcopy(RECORDED)
        self.web, self.four = self.said["web"], self.said["four"]
        self.answers = {}  # name of the question: the whole answer
        self.hosts = {"lab"}
        self.asked = []

    async def __call__(self, host, script, seconds=5.0, /):
        if host not in self.hosts:
            raise NoHost(host)
        found = ASKED.search(script)
        assert found, "no question at the end of the script"
        question = json.loads(eval(found[1], {}))
        self.asked.append((host, question))
        answer = self.answers.get(question["ask"]) or getattr(self, f"_{question['ask']}")(question)
        return answer if isinstance(answer, Answer) else Answer(0, json.dumps(answer))

    def _docker(self, question):
        found = {
            "/containers/web/json": self.web, "/containers/stopped/json": self.said["stopped"], "/containers/share/json": self.said["share"],
            "/containers/22d6/json": self.web, "/networks/four": self.four, "/networks/six": self.said["six"], "/networks/5c38": self.four,
            "/images/nginx:1.26/json": {"Id": self.web["Image"]}, "/images/tomcat/json": {"Id": "sha256:other"},
        }  # fmt: skip
        return {"said": [[200, found[path]] if path in found else [404, {"message": "No such thing"}] for path in question["paths"]]}

    def _addresses(self, question):
        return {"links": self.said["links"]}

    def _routes(self, question):
        return {"routes": self.said["routes"] if question["version"] == 4 else []}

    def _nat(self, question):
        return {"iptables": self.said["iptables"], "nft": {"nftables": self.said["nft"]}}

    def _listening(self, question):
        return {"lines": self.said["listening"]}

    def _service(self, question):
        return {"said": self.said["service"]}


@pytest.fixture
def host():
    return Host()


async def judge(host, kind, /, **params):
    check = TYPES[kind]
    return await check.judge(check.Params.model_validate(params), "lab", host)


async def why(host, kind, /, **params):
    """The sentence of a check that fails; "" when it passes."""
    verdict = await judge(host, kind, **params)
    assert verdict.state == ("failed" if verdict.why else "passed"), verdict
    return verdict.why


IN, NETNS = {"in": "web"}, {"netns": "blue"}
SAID = [
    ("docker.container", {"name": "web"}, ""),
    ("docker.container", {"name": "nope"}, "There is no container `nope`."),
    ("docker.container", {"name": "22d6"}, "There is no container `22d6`."),  # the beginning of web's id
    ("docker.container", {"name": "web", "exists": False}, "There is still a container `web`."),
    ("docker.container", {"name": "nope", "exists": False}, ""),
    ("docker.container", {"name": "stopped"}, "`stopped` exists but is stopped (exit code 0)."),
    ("docker.container", {"name": "stopped", "exists": True}, ""),
    ("docker.container", {"name": "stopped", "running": False}, ""),
    ("docker.container", {"name": "web", "running": False}, "`web` still runs."),
    ("docker.container", {"name": "web", "image": "nginx"}, ""),
    ("docker.container", {"name": "web", "image": "nginx:latest"}, ""),
    ("docker.container", {"name": "web", "image": "nginx:1.26"}, ""),  # another name of the same image
    ("docker.container", {"name": "web", "image": "tomcat"}, "`web` runs the image `nginx`, not `tomcat`."),
    ("docker.container", {"name": "web", "image": "httpd"}, "There is no image `httpd`."),
    ("docker.container", {"name": "web", "publishes": "9080:8080"}, ""),
    ("docker.container", {"name": "web", "publishes": 8080}, ""),
    ("docker.container", {"name": "web", "publishes": "0.0.0.0:9080:8080"}, ""),
    ("docker.container", {"name": "web", "publishes": "127.0.0.1:9080:8080"}, "`web` publishes `0.0.0.0:9080:8080`, not `127.0.0.1:9080:8080`."),
    ("docker.container", {"name": "web", "publishes": "9080:8081"}, "`web` publishes `9080:8080`, not `9080:8081`."),
    ("docker.container", {"name": "web", "publishes": "9080:8080/udp"}, "`web` publishes `9080:8080`, not `9080:8080/udp`."),
    ("docker.container", {"name": "share", "publishes": "9080:8080"}, "`share` publishes no port."),
    ("docker.container", {"name": "web", "network_mode": "bridge"}, ""),
    ("docker.container", {"name": "web", "network_mode": "host"}, "The network mode of `web` is `bridge`, not `host`."),
    ("docker.container", {"name": "share", "network_mode": "container:web"}, ""),
    ("docker.container", {"name": "share", "network_mode": "container:stopped"}, "`share` shares the network of another container, not that of `stopped`."),
    ("docker.container", {"name": "share", "network_mode": "container:nope"}, "There is no container `nope`."),
    ("docker.container", {"name": "web", "network_mode": "container:share"}, "`web` has a network of its own (`bridge`), not that of `share`."),
    ("docker.container", {"name": "web", "privileged": True}, "`web` is not privileged."),
    ("docker.container", {"name": "web", "privileged": False}, ""),
    ("docker.network", {"name": "four"}, ""),
    ("docker.network", {"name": "nope"}, "There is no network `nope`."),
    ("docker.network", {"name": "5c38"}, "There is no network `5c38`."),
    ("docker.network", {"name": "four", "exists": False}, "There is still a network `four`."),
    ("docker.network", {"name": "four", "driver": "bridge"}, ""),
    ("docker.network", {"name": "four", "driver": "macvlan"}, "The driver of `four` is `bridge`, not `macvlan`."),
    ("docker.network", {"name": "four", "subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "internal": True, "ipv6": False, "attachable": False}, ""),
    ("docker.network", {"name": "four", "subnet": "192.168.78.0/24"}, "The subnet of `four` is `10.9.0.0/24`, not `192.168.78.0/24`."),
    ("docker.network", {"name": "six", "subnet": "fd00:0009:0::/64"}, ""),
    ("docker.network", {"name": "six", "subnet": "10.9.0.0/24"}, "The subnet of `six` is `fd00:9::/64` and `172.18.0.0/16`, not `10.9.0.0/24`."),
    ("docker.network", {"name": "four", "gateway": "10.9.0.254"}, "The gateway of `four` is `10.9.0.1`, not `10.9.0.254`."),
    ("docker.network", {"name": "four", "ip_range": "10.9.0.128/25"}, "`four` has no address range: all of its subnet is given out."),
    ("docker.network", {"name": "four", "internal": False}, "`four` is internal."),
    ("docker.network", {"name": "six", "internal": True}, "`six` is not internal."),
    ("docker.network", {"name": "four", "ipv6": True}, "`four` has no IPv6."),
    ("docker.network", {"name": "four", "attachable": True}, "`four` is not attachable."),
    ("docker.network", {"name": "six", "labels": {"a": "b"}}, ""),
    ("docker.network", {"name": "six", "labels": {"a": 1}}, "The label `a` of `six` is `b`, not `1`."),
    ("docker.network", {"name": "six", "labels": {"tier": "back"}}, "`six` has no label `tier`."),
    ("docker.network", {"name": "six", "options": {"mtu": 1400}}, "`six` has no option `mtu`."),
    ("docker.attached", {"container": "web", "network": "four"}, ""),
    ("docker.attached", {"container": "web", "network": "six"}, "`web` is only on `bridge` and `four`."),
    ("docker.attached", {"container": "web", "network": "nope"}, "There is no network `nope`."),
    ("docker.attached", {"container": "nope", "network": "four"}, "There is no container `nope`."),
    ("docker.attached", {"container": "stopped", "network": "four"}, "`stopped` exists but is stopped (exit code 0)."),
    ("docker.attached", {"container": "share", "network": "four"}, "`share` shares the network of another container, and is on none itself."),
    ("docker.attached", {"container": "web", "network": "four", "ip": "10.9.0.2", "alias": "db"}, ""),
    ("docker.attached", {"container": "web", "network": "four", "ip": "10.9.0.7"}, "The address of `web` on `four` is `10.9.0.2`, not `10.9.0.7`."),
    ("docker.attached", {"container": "web", "network": "four", "ip6": "fd00::7"}, "`web` has no IPv6 address on `four`."),
    ("docker.attached", {"container": "web", "network": "four", "alias": "api"}, "`web` is not known as `api` on `four`."),
    ("docker.attached", {"container": "web", "network": "four", "only": True}, "`web` is also on `bridge`."),
    ("docker.attached", {"container": "web", "network": "four", "exists": False}, "`web` is still on `four`."),
    ("docker.attached", {"container": "web", "network": "six", "exists": False}, ""),
    ("net.link", {"name": "eth1", **IN}, ""),
    ("net.link", {"name": "eth9", **IN}, "In `web`: There is no interface `eth9`."),
    ("net.link", {"name": "eth9", **NETNS}, "In the namespace `blue`: There is no interface `eth9`."),
    ("net.link", {"name": "eth9"}, "There is no interface `eth9`."),
    ("net.link", {"name": "eth1", "exists": False}, "There is still an interface `eth1`."),
    ("net.link", {"name": "eth9", "exists": False}, ""),
    ("net.link", {"name": "eth1", "kind": "veth", "up": True}, ""),
    ("net.link", {"name": "eth1", "kind": "bridge"}, "`eth1` is a veth, not a bridge."),
    ("net.link", {"name": "lo", "kind": "dummy"}, "`lo` is a loopback, not a dummy."),
    ("net.link", {"name": "eth1", "up": False}, "`eth1` is up."),
    ("net.link", {"name": "eth1", "master": "docker0"}, "`eth1` is attached to no bridge."),
    ("net.address", {"link": "eth1", "address": "10.9.0.2/24"}, ""),
    ("net.address", {"link": "eth1", "address": "10.9.0.2"}, ""),
    ("net.address", {"link": "eth1", "address": "10.9.0.2/16"}, "`eth1` has the address `10.9.0.2/24`, not `10.9.0.2/16`."),
    ("net.address", {"link": "eth0", "address": "10.9.0.2"}, "The address `10.9.0.2` is on `eth1`, not on `eth0`."),
    ("net.address", {"link": "eth1", "address": "fd00::1/64"}, "`eth1` has no IPv6 address."),
    ("net.address", {"link": "eth9", "address": "10.9.0.2", **IN}, "In `web`: There is no interface `eth9`."),
    ("net.address", {"link": "eth1", "address": "10.9.0.2", "exists": False}, "`eth1` still has the address `10.9.0.2`."),
    ("net.address", {"link": "eth1", "address": "10.9.0.3", "exists": False}, ""),
    ("net.route", {"to": "default", "via": "172.17.0.1", "dev": "eth0"}, ""),
    ("net.route", {"to": "0.0.0.0/0"}, ""),
    ("net.route", {"to": "default", "via": "10.9.0.1"}, "The default route goes by way of `172.17.0.1`, not of `10.9.0.1`."),
    ("net.route", {"to": "10.9.0.0/24", "via": "10.9.0.1"}, "The route to `10.9.0.0/24` goes to the wire of `eth1`, not by way of `10.9.0.1`."),
    ("net.route", {"to": "10.9.0.0/24", "dev": "eth0"}, "The route to `10.9.0.0/24` goes through `eth1`, not through `eth0`."),
    ("net.route", {"to": "10.8.0.0/24", **IN}, "In `web`: There is no route to `10.8.0.0/24`."),
    ("net.route", {"to": "default", "via": "fd00::1"}, "There is no default route."),
    ("net.route", {"to": "default", "exists": False}, "There is still a default route."),
    ("net.route", {"to": "10.8.0.0/24", "exists": False}, ""),
    ("net.nat", {"masquerade": "172.17.0.0/16"}, ""),
    ("net.nat", {"masquerade": "10.88.0.0/16"}, ""),  # netavark's, which comes by a jump
    ("net.nat", {"masquerade": "10.78.3.0/24"}, ""),  # part of a range in nft's own words
    ("net.nat", {"masquerade": "10.99.0.0/16"}, "No rule masquerades what comes from `10.99.0.0/16`."),
    ("net.nat", {"masquerade": "172.17.0.0/16", "exists": False}, "What comes from `172.17.0.0/16` is still masqueraded."),
    ("net.nat", {"publishes": 9080, "to": "172.17.0.2:8080"}, ""),
    ("net.nat", {"publishes": 9191, "to": "10.88.0.2:80"}, ""),
    ("net.nat", {"publishes": 7070}, ""),
    ("net.nat", {"publishes": 9080, "to": "172.17.0.3:8080"}, "Port `9080` is passed on to `172.17.0.2:8080`, not to `172.17.0.3:8080`."),
    ("net.nat", {"publishes": 9081}, "No rule passes port `9081` on."),
    ("net.nat", {"publishes": 9080, "exists": False}, "Port `9080` is still passed on to `172.17.0.2:8080`."),
    ("net.listen", {"port": 9080}, ""),
    ("net.listen", {"port": 9080, "program": "docker-proxy", "address": "0.0.0.0"}, ""),
    ("net.listen", {"port": 9080, "program": "dockerd"}, "`docker-proxy` listens on `:9080`, not `dockerd`."),
    ("net.listen", {"port": 9080, "address": "127.0.0.1"}, "Port `9080` is open on every address, not only on `127.0.0.1`."),
    ("net.listen", {"port": 33373, "address": "127.0.0.1"}, ""),
    ("net.listen", {"port": 33373, "address": "10.9.0.1"}, "Port `33373` is open on `127.0.0.1`, not on `10.9.0.1`."),
    ("net.listen", {"port": 2375}, "Nothing listens on port `2375`."),
    ("net.listen", {"port": 2375, "expect": False}, ""),
    ("net.listen", {"port": 9080, "address": "127.0.0.1", "expect": False}, "`docker-proxy` listens on `0.0.0.0:9080`."),
    ("net.listen", {"port": 9080, "program": "dockerd", "expect": False}, ""),
    ("service", {"name": "docker"}, ""),
    ("service", {"name": "docker", "active": False}, "The service `docker` is still active."),
]  # fmt: skip


@pytest.mark.parametrize("kind, params, sentence", SAID, ids=lambda value: value if isinstance(value, str) else None)
async def test_what_it_says(host, kind, params, sentence):
    assert await why(host, kind, **params) == sentence


@pytest.mark.parametrize(
    "state, code, sentence",
    [
        ("created", 0, "`web` exists but was never started."),
        ("exited", 137, "`web` exists but is stopped (exit code 137)."),
        ("paused", 0, "`web` is paused."),
        ("restarting", 1, "`web` ends by itself and is started again and again (exit code 1)."),
        ("removing", 0, "`web` does not run: its state is `removing`."),
    ],
)
async def test_why_a_container_does_not_run(host, state, code, sentence):
    host.web["State"] |= {"Status": state, "ExitCode": code}
    assert await why(host, "docker.container", name="web") == sentence


async def test_gateway_that_docker_chose_itself_is_the_bridges_address(host):
    """Docker's answer names only a gateway that somebody asked for."""
    del host.four["IPAM"]["Config"][0]["Gateway"]
    host.said["links"].append({"ifname": "br-5c38321cbd31", "addr_info": [{"local": "10.9.0.1", "prefixlen": 24}]})
    assert await why(host, "docker.network", name="four", gateway="10.9.0.1") == ""
    assert await why(host, "docker.network", name="four", gateway="10.9.0.9") == "The gateway of `four` is `10.9.0.1`, not `10.9.0.9`."
    del host.said["links"][-1]
    assert await why(host, "docker.network", name="four", gateway="10.9.0.9") == "`four` has no gateway."


async def test_networks_of_a_container_without_any(host):
    host.web["NetworkSettings"]["Networks"] = {"none": {}}
    assert await why(host, "docker.attached", container="web", network="four") == "`web` is on no network."


@pytest.mark.parametrize(
    "answer, sentence",
    [
        ({"no": "no-container"}, "There is no container `web`."),
        ({"no": "stopped"}, "The container `web` is stopped, so it has no network."),
    ],
)
@pytest.mark.parametrize("kind, params", [("net.link", {"name": "eth0"}), ("net.address", {"link": "eth0", "address": "10.9.0.2"}), ("net.route", {"to": "default"})])
async def test_a_place_that_is_not_there(host, kind, params, answer, sentence):
    host.answers = {"addresses": answer, "routes": answer}
    assert await why(host, kind, **params, **IN) == sentence
    host.answers = {"addresses": {"no": "no-netns"}, "routes": {"no": "no-netns"}}
    assert await why(host, kind, **params, **NETNS) == "There is no network namespace `blue`."


REACHED = [
    ({"to": "10.9.0.9:80"}, {"address": "10.9.0.9", "status": 0}, ""),
    ({"to": "10.9.0.9:80"}, {"no": "refused"}, "`10.9.0.9:80` refuses the connection from `lab`: nothing listens there."),
    ({"to": "10.9.0.9"}, {"no": "timeout"}, "`lab` gets no answer from `10.9.0.9`."),
    ({"to": "db:80", "from": "web"}, {"no": "no-route", "address": "10.9.0.9"}, "`web` has no route to `10.9.0.9`."),
    ({"to": "db:80", "from": "web"}, {"no": "no-neighbour", "address": "10.9.0.9"}, "Nobody answers for the address `10.9.0.9` on the wire."),
    ({"to": "http://db/", "netns": "blue"}, {"no": "http-timeout"}, "`http://db/` takes the connection from `blue`, but answers nothing in time."),
    ({"to": "http://db/"}, {"no": "http-closed"}, "`http://db/` takes the connection from `lab`, and closes it without an answer."),
    ({"to": "http://db/"}, {"no": "http-odd"}, "`http://db/` answers `lab`, but not in HTTP."),
    ({"to": "db:80", "from": "web"}, {"no": "no-name"}, "`web` does not know the name `db`."),
    ({"to": "db:80", "from": "web"}, {"no": "no-nameserver"}, "`web` does not know the name `db`, and has no name server to ask."),
    ({"to": "db", "from": "web"}, {"no": "nameserver-silent:8.8.8.8"}, "`web` does not know the name `db`, and its name server `8.8.8.8` does not answer."),
    ({"to": "db:80", "from": "web"}, {"no": "no-container"}, "There is no container `web`."),
    ({"to": "db:80", "from": "web", "expect": False}, {"no": "stopped"}, "The container `web` is stopped, so it has no network."),
    ({"to": "db:80", "netns": "blue"}, {"no": "no-netns"}, "There is no network namespace `blue`."),
    ({"to": "db:80", "from": "web"}, {"no": "something new"}, "`web` cannot reach `db:80`."),
    ({"to": "db:80", "from": "web", "expect": False}, {"no": "timeout"}, ""),
    ({"to": "db:80", "from": "web", "expect": False}, {"address": "10.9.0.9", "status": 0}, "`web` reaches `db:80`."),
]


@pytest.mark.parametrize("params, answer, sentence", REACHED, ids=range(len(REACHED)))
async def test_reach(host, params, answer, sentence):
    host.answers = {"reach": answer}
    assert await why(host, "net.reach", **params) == sentence


async def test_who_tries_is_a_host_before_it_is_a_container(host):
    host.hosts.add("client")
    host.answers = {"reach": {"address": "x", "status": 0}}
    await why(host, "net.reach", **{"from": "client"}, to="web:80")
    await why(host, "net.reach", **{"from": "web"}, to="http://[fd00::1]:8080/a")
    await why(host, "net.reach", **{"from": "lab"}, to="web")
    assert host.asked == [
        ("client", {"ask": "reach", "how": "tcp", "goal": "web", "port": 80, "path": "/"}),
        ("lab", {"ask": "reach", "how": "http", "goal": "fd00::1", "port": 8080, "path": "/a", "container": "web", "netns": None}),
        ("lab", {"ask": "reach", "how": "ping", "goal": "web", "port": 80, "path": "/", "container": None, "netns": None}),
    ]


@pytest.mark.parametrize(
    "params, answer, sentence",
    [
        ({"name": "db"}, {"addresses": ["10.9.0.9"]}, ""),
        ({"name": "db", "to": "10.9.0.9"}, {"addresses": ["10.9.0.9"]}, ""),
        ({"name": "db", "to": "10.9.0.8"}, {"addresses": ["10.9.0.9"]}, "For `web`, the name `db` stands for `10.9.0.9`, not for `10.9.0.8`."),
        ({"name": "db", "expect": False}, {"addresses": ["10.9.0.9"]}, "`web` knows the name `db`: it stands for `10.9.0.9`."),
        ({"name": "db", "expect": False}, {"no": "no-name"}, ""),
        ({"name": "db"}, {"no": "no-name"}, "`web` does not know the name `db`."),
        ({"name": "db"}, {"no": "no-container"}, "There is no container `web`."),
    ],
)
async def test_resolve(host, params, answer, sentence):
    host.answers = {"resolve": answer}
    assert await why(host, "net.resolve", **{"from": "web"}, **params) == sentence


@pytest.mark.parametrize(
    "params, answer, sentence",
    [
        ({}, {"kind": "file", "mode": "0644", "holds": []}, ""),
        ({}, {"kind": "none"}, "There is no file `/etc/x`."),
        ({"exists": False}, {"kind": "none"}, ""),
        ({"exists": False}, {"kind": "folder", "mode": "0755"}, "There is still `/etc/x`."),
        ({"contains": ["a", "b"]}, {"kind": "file", "mode": "0644", "holds": [True, False]}, "`/etc/x` does not hold `b`."),
        ({"contains": "a", "lacks": "b"}, {"kind": "file", "mode": "0644", "holds": [True, True]}, "`/etc/x` still holds `b`."),
        ({"contains": "a", "lacks": "b"}, {"kind": "file", "mode": "0644", "holds": [True, False]}, ""),
        ({"contains": "a"}, {"kind": "folder", "mode": "0755"}, "`/etc/x` is a folder, not a file."),
        ({"contains": "a"}, {"kind": "special", "mode": "0755"}, "`/etc/x` is no regular file."),
        ({"mode": "600"}, {"kind": "file", "mode": "0600", "holds": []}, ""),
        ({"mode": "0600"}, {"kind": "file", "mode": "0644", "holds": []}, "The mode of `/etc/x` is `0644`, not `0600`."),
    ],
)
async def test_file(host, params, answer, sentence):
    host.answers = {"file": answer}
    assert await why(host, "file", path="/etc/x", **params) == sentence


@pytest.mark.parametrize(
    "load, state, sentence",
    [
        ("loaded", "inactive", "The service `x` is not active."),
        ("loaded", "failed", "The service `x` has failed: `systemctl status x` says more."),
        ("loaded", "activating", "The service `x` is still starting."),
        ("loaded", "deactivating", "The service `x` is still being stopped."),
        ("not-found", "inactive", "There is no service `x`."),
    ],
)
async def test_service(host, load, state, sentence):
    host.said["service"] = {"LoadState": load, "ActiveState": state}
    assert await why(host, "service", name="x") == sentence
    assert (await judge(host, "service", name="x", active=False)).state == ("failed" if state == "deactivating" else "passed")


EVERY = [
    ("docker.container", {"name": "web", "image": "nginx:1.26", "publishes": "9080:8080", "network_mode": "container:share"}),
    ("docker.network", {"name": "four", "subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "labels": {"a": "b"}, "options": {"a": "b"}}),
    ("docker.attached", {"container": "web", "network": "four", "ip": "10.9.0.2", "alias": "db"}),
    ("net.link", {"name": "eth0", "kind": "veth", "up": True, "master": "docker0", **IN}),
    ("net.address", {"link": "eth0", "address": "10.9.0.2"}),
    ("net.route", {"to": "default", "via": "10.9.0.1", "dev": "eth0"}),
    ("net.reach", {"to": "web:80"}),
    ("net.resolve", {"name": "web", "to": "10.9.0.2"}),
    ("net.nat", {"masquerade": "10.9.0.0/24"}),
    ("net.nat", {"publishes": 80, "to": "10.9.0.2:80"}),
    ("net.listen", {"port": 80, "address": "10.9.0.2", "program": "nginx"}),
    ("file", {"path": "/etc/x", "contains": "a", "mode": "0600"}),
    ("service", {"name": "docker"}),
]


@pytest.mark.parametrize("kind, params", EVERY, ids=[kind for kind, _ in EVERY])
async def test_a_check_that_cannot_look_is_not_known(host, kind, params):
    def everywhere(answer):
        host.answers = dict.fromkeys(("docker", "addresses", "routes", "reach", "resolve", "nat", "listening", "file", "service"), answer)

    for answer, sentence in (
        ({"no": "dockerd-down"}, "dockerd does not run on `lab`."),
        ({"no": "dockerd-silent"}, "dockerd does not answer on `lab`."),
        ({"no": "no-program:ss"}, "The program `ss` is missing on `lab`."),
        (Answer(None), "`lab` did not answer in time."),
        (Answer(127), "`lab` could not be asked: its `python3` does not run."),
        (Answer(0, "no JSON"), "What `lab` answered cannot be understood."),
        (Answer(0, "[" * 100_000), "What `lab` answered cannot be understood."),
        (Answer(0, "[]"), "What `lab` answered cannot be understood."),
    ):
        everywhere(answer)
        verdict = await judge(host, kind, **params)
        assert (verdict.state, verdict.why) == ("unknown", sentence)

    async def silent(*_):
        raise NoAnswer("lab")

    assert (await TYPES[kind].judge(TYPES[kind].Params.model_validate(params), "lab", silent)).why == "`lab` does not answer."


ODD = (None, True, 7, 1e300, "x", "`\x1b[31m\n<b>" * 500, [], [[]], [None], {}, {"a": {}}, [{"ifname": 3}], [[200, []]], [[200, {"Name": "/web"}]])


def odd_ones(value):
    """The value with each of its parts replaced by something odd."""
    yield from ODD
    if isinstance(value, dict):
        for key in value:
            for other in odd_ones(value[key]):
                yield {**value, key: other}
    elif isinstance(value, list) and value:
        for other in odd_ones(value[0]):
            yield [other, *value[1:]]


@pytest.mark.parametrize("kind, params", EVERY, ids=[kind for kind, _ in EVERY])
async def test_whatever_a_host_answers_there_is_a_verdict(host, kind, params):
    """Its root is the student: each part of a good answer is replaced by something that it cannot be."""
    real = Host()
    tried = 0
    for what in ("docker", "addresses", "routes", "reach", "resolve", "nat", "listening", "file", "service"):
        seen = Host()
        seen.answers = {"reach": {"address": "x", "status": 0}, "resolve": {"addresses": ["10.9.0.2"]}, "file": {"kind": "file", "mode": "0600", "holds": [True]}}
        await judge(seen, kind, **params)
        good = next((question for _, question in seen.asked if question["ask"] == what), None)
        if good is None:
            continue
        for odd in odd_ones(seen.answers.get(what) or getattr(real, f"_{what}")(good)):
            host.answers = {"reach": {}, "resolve": {}, "file": {}, what: Answer(0, json.dumps(odd))}
            verdict = await judge(host, kind, **params)
            assert "\n" not in verdict.why and "\x1b" not in verdict.why and len(verdict.why) < 700
            tried += 1
    assert tried > 10


MARKDOWN = "[a](https://a.example)"


@pytest.mark.parametrize(
    "kind, params, what, answer",
    [
        ("net.link", {"name": "a", "kind": "bridge"}, "addresses", {"links": [{"ifname": "a", "linkinfo": {"info_kind": MARKDOWN}}]}),
        ("file", {"path": "/etc/x"}, "file", {"kind": "closed", "errno": MARKDOWN}),
        ("file", {"path": "/etc/x"}, "file", {"kind": "closed", "errno": 10**30}),
    ],
)
async def test_a_host_writes_no_prose(host, kind, params, what, answer):
    """What stands in no backticks is a word of ours, or not said."""
    host.answers = {what: answer}
    assert (await judge(host, kind, **params)) == Verdict("unknown", "What `lab` answered cannot be understood.")


async def test_a_file_that_cannot_be_read(host):
    host.answers = {"file": {"kind": "closed", "errno": 5}}
    assert (await judge(host, "file", path="/etc/x")).why == "`/etc/x` cannot be read: Input/output error."


# Titles and parameters

TITLES = [
    ("docker.container", {"name": "web"}, "`web` runs"),
    ("docker.container", {"name": "web", "running": False}, "`web` is stopped"),
    ("docker.container", {"name": "web", "exists": True}, "There is a container `web`"),
    ("docker.container", {"name": "web", "exists": False}, "There is no container `web`"),
    ("docker.container", {"name": "web", "image": "tomcat", "publishes": "9080:8080", "network_mode": "host", "privileged": True}, "`web` runs: image `tomcat`, port `9080:8080` published, network `host`, privileged"),
    ("docker.network", {"name": "blue", "exists": False}, "There is no network `blue`"),
    ("docker.network", {"name": "blue", "subnet": "10.9.0.0/24", "internal": True, "labels": {"a": "b"}}, "There is a network `blue`: subnet `10.9.0.0/24`, internal, labels `a=b`"),
    ("docker.attached", {"container": "web", "network": "blue", "ip": "10.9.0.2", "only": True}, "`web` is only on `blue`, with the address `10.9.0.2`"),
    ("docker.attached", {"container": "web", "network": "blue", "exists": False}, "`web` is not on `blue`"),
    ("net.link", {"name": "v0", "kind": "veth", "up": True, "master": "br0", **NETNS}, "There is a veth `v0` in the namespace `blue`: up, attached to `br0`"),
    ("net.address", {"link": "v0", "address": "10.0.0.1/24", **IN}, "`v0` has the address `10.0.0.1/24` in `web`"),
    ("net.route", {"to": "default", "via": "10.0.0.1", "dev": "v0"}, "There is a default route by way of `10.0.0.1` through `v0`"),
    ("net.route", {"to": "10.1.0.0/24", "exists": False}, "There is no route to `10.1.0.0/24`"),
    ("net.reach", {"from": "client", "to": "web:80"}, "`client` reaches `web:80`"),
    ("net.reach", {"to": "web:80", "expect": False}, "`web:80` is not reached"),
    ("net.resolve", {"from": "web", "name": "db", "to": "10.9.0.2"}, "For `web`, the name `db` stands for `10.9.0.2`"),
    ("net.resolve", {"name": "db", "expect": False}, "The name `db` is not known"),
    ("net.nat", {"masquerade": "10.9.0.0/24"}, "What comes from `10.9.0.0/24` is masqueraded"),
    ("net.nat", {"publishes": 80, "to": "10.9.0.2:80"}, "Port `80` is passed on to `10.9.0.2:80`"),
    ("net.listen", {"port": 2375, "address": "127.0.0.1", "program": "dockerd"}, "`dockerd` listens on `127.0.0.1:2375`"),
    ("file", {"path": "/etc/x", "contains": "a", "lacks": "b", "mode": "0600"}, "`/etc/x` holds `a`, does not hold `b`, has the mode `0600`"),
    ("service", {"name": "docker", "active": False}, "The service `docker` is not active"),
]  # fmt: skip


@pytest.mark.parametrize("kind, params, title", TITLES)
def test_titles(kind, params, title):
    read = TYPES[kind].Params.model_validate(params)
    assert TYPES[kind].title(read) == title
    with override("zh-hans"):
        assert TYPES[kind].title(read)


WRONG = [
    ("docker.container", {}, "Field required"),
    ("docker.container", {"name": "web", "nmae": 1}, "Extra inputs"),
    ("docker.container", {"name": "web", "exists": False, "image": "x"}, "says “exists: false”"),
    ("docker.container", {"name": "web", "running": "yes"}, "valid boolean"),
    ("docker.container", {"name": "web", "publishes": "9080:"}, "no published port"),
    ("docker.network", {"name": "blue", "subnet": "10.9.0.0"}, "no network"),
    ("docker.network", {"name": "blue", "subnet": "10.9.0.1/24"}, "no network"),
    ("docker.network", {"name": "blue", "exists": False, "internal": True}, "says “exists: false”"),
    ("docker.attached", {"container": "web", "network": "blue", "ip": "10.9.0"}, "no address"),
    ("net.link", {"name": "a", "in": "web", "netns": "blue"}, "has “in” and “netns”"),
    ("net.link", {"name": "a", "in_": "web"}, "Extra inputs"),
    ("net.link", {"name": "a", "kind": "tube"}, "Input should be"),
    ("net.link", {"name": "a", "exists": False, "up": True}, "says “exists: false”"),
    ("net.route", {"to": "10.9.0.1"}, "no destination"),
    ("net.reach", {"to": "web:99999"}, "no thing to reach"),
    ("net.reach", {"to": "web:80", "from": "a", "netns": "b"}, "has “from” and “netns”"),
    ("net.resolve", {"name": "a", "to": "10.9.0.1", "expect": False}, "says “expect: false”"),
    ("net.nat", {}, "needs either"),
    ("net.nat", {"masquerade": "10.9.0.0/24", "to": "10.9.0.2:80"}, "belongs to “publishes”"),
    ("net.listen", {"port": 0}, "no port"),
    ("net.listen", {"port": True}, "valid string"),
    ("file", {"path": "etc/x"}, "no path"),
    ("file", {"path": "/etc/x", "mode": "rw"}, "no mode"),
    ("service", {"name": "a b"}, "should match pattern"),
]


@pytest.mark.parametrize("kind, params, sentence", WRONG)
def test_wrong_parameters(kind, params, sentence):
    with pytest.raises(ValidationError) as error:
        TYPES[kind].Params.model_validate(params)
    assert sentence in error.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "kind, params",
    [
        ("docker.network", {"name": "${NET}", "subnet": "10.${N}.0.0/24", "gateway": "${GW}"}),
        ("docker.container", {"name": "web", "publishes": "${PORT}:8080"}),
        ("net.listen", {"port": "${PORT}"}),
        ("net.reach", {"to": "http://${IP}:${PORT}/"}),
        ("file", {"path": "${HOME_OF_IT}/x"}),
    ],
)
def test_every_text_may_hold_variables(kind, params):
    TYPES[kind].Params.model_validate(params)


def test_what_a_host_says_cannot_write_the_page():
    assert clean("a`b\x1b[31m\nc") == "a b [31m c"
    assert len(clean("x" * 10_000)) == LONGEST
    assert say("%(a)s", a="100%") == "100%"
    assert names(["a", "b`", "c", "d", "e", "f", "g"]) == "`a`, `b`, `c`, `d`, `e` and 2 more"
    assert names([]) == ""
