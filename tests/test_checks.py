"""Every typed check with all that it can be asked, on two real hosts: the network is made right and wrong, and the sentence is held to it."""
import asyncio
import time
import uuid

import pytest

from lessons.checks import TYPES
from lessons.grading import Result, grade
from lessons.lesson import Check
from netcontrol.inside import Answer, Inside, NoAnswer

TAKE = "from lessons.proof.box import Box; box = Box('lab,client'); box.__enter__(); print('sandbox', box.sandbox)"
GIVE = "from netcontrol import tasks; from netcontrol.models import Sandbox; s = Sandbox.objects.get(pk='{}'); s.end('The test is over.') and tasks.remove(str(s.pk))"


class Ground:
    """Two hosts, lab and client, and what is asked of them."""

    def __init__(self, sandbox: uuid.UUID):
        self.inside = Inside(sandbox)

    def run(self, script: str, host: str = "lab") -> Answer:
        return asyncio.run(self.inside.run(host, script, 60))

    def sh(self, script: str, host: str = "lab") -> str:
        done = self.run(f"set -e\n{script}", host)
        assert done.exit_code == 0, done
        return done.out.strip()

    def judge(self, kind: str, /, on: str = "lab", **params):
        began = time.monotonic()
        verdict = asyncio.run(TYPES[kind].judge(TYPES[kind].Params.model_validate(params), on, self.inside.run))
        assert time.monotonic() - began < 5
        return verdict

    def passes(self, kind: str, /, **params) -> None:
        verdict = self.judge(kind, **params)
        assert verdict.state == "passed", verdict

    def fails(self, kind: str, why: str, /, **params) -> None:
        verdict = self.judge(kind, **params)
        assert (verdict.state, verdict.why) == ("failed", why)

    def later(self, kind: str, /, **params) -> None:
        """Passes in a moment: a program needs one until it listens."""
        end = time.monotonic() + 20
        while (verdict := self.judge(kind, **params)).state != "passed":
            assert time.monotonic() < end, verdict
            time.sleep(0.2)


@pytest.fixture(scope="module")
def two(lab):
    sandbox = uuid.UUID(lab.shell(TAKE).split("sandbox ")[1].strip())
    yield Ground(sandbox)
    lab.shell(GIVE.format(sandbox))


@pytest.fixture
def ground(two):
    """Both hosts as they were before."""
    yield two
    clean = "docker ps -aq | xargs -r docker rm -f; docker network prune -f; podman rm -fa -t 0; ip -all netns delete"
    assert two.run(f"({clean}) >/dev/null 2>&1; rm -f /usr/local/bin/*; true").exit_code == 0


def test_container(ground):
    """docker.container"""
    ground.passes("docker.container", name="web", exists=False)
    ground.fails("docker.container", "There is no container `web`.", name="web")
    ground.sh("docker run -d --name web -p 9080:80 nginx; docker create --name made busybox; docker run --name off busybox sh -c 'exit 3' || true")
    ground.passes("docker.container", name="web", image="nginx", publishes="9080:80", network_mode="bridge", privileged=False)
    ground.passes("docker.container", name="web", image="nginx:1.26", publishes=80)
    ground.fails("docker.container", "There is still a container `web`.", name="web", exists=False)
    ground.fails("docker.container", "`web` still runs.", name="web", running=False)
    ground.fails("docker.container", "`web` runs the image `nginx`, not `tomcat`.", name="web", image="tomcat")
    ground.fails("docker.container", "There is no image `httpd`.", name="web", image="httpd")
    ground.fails("docker.container", "`web` publishes `9080:80`, not `9081:80`.", name="web", publishes="9081:80")
    ground.fails("docker.container", "`web` publishes `0.0.0.0:9080:80`, not `127.0.0.1:9080:80`.", name="web", publishes="127.0.0.1:9080:80")
    ground.fails("docker.container", "The network mode of `web` is `bridge`, not `host`.", name="web", network_mode="host")
    ground.fails("docker.container", "`web` is not privileged.", name="web", privileged=True)
    ground.fails("docker.container", "`made` exists but was never started.", name="made")
    ground.fails("docker.container", "`off` exists but is stopped (exit code 3).", name="off")
    ground.passes("docker.container", name="off", running=False)
    ground.passes("docker.container", name="off", exists=True)
    ground.sh("docker run -d --privileged --name host --network host busybox sleep 1000; docker run -d --name none --network none busybox sleep 1000; docker run -d --name beside --network container:web busybox sleep 1000")
    ground.passes("docker.container", name="host", network_mode="host", privileged=True)
    ground.fails("docker.container", "`host` publishes no port.", name="host", publishes="9080:80")
    ground.fails("docker.container", "`host` is privileged.", name="host", privileged=False)
    ground.passes("docker.container", name="none", network_mode="none")
    ground.passes("docker.container", name="beside", network_mode="container:web")
    ground.fails("docker.container", "`beside` shares the network of another container, not that of `none`.", name="beside", network_mode="container:none")
    ground.fails("docker.container", "`none` has a network of its own (`none`), not that of `web`.", name="none", network_mode="container:web")
    ground.sh("docker pause web")
    ground.fails("docker.container", "`web` is paused.", name="web")
    ground.sh("docker unpause web; docker kill web")
    ground.fails("docker.container", "`web` exists but is stopped (exit code 137).", name="web", publishes="9080:80")


def test_network(ground):
    """docker.network"""
    ground.passes("docker.network", name="blue", exists=False)
    ground.fails("docker.network", "There is no network `blue`.", name="blue")
    ground.sh("docker network create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 --gateway 10.9.0.254 --internal --attachable --label tier=back -o com.docker.network.driver.mtu=1400 blue")
    ground.sh("docker network create --subnet 10.8.0.0/24 plain; docker network create --ipv6 --subnet fd00:9::/64 six; docker network create -d macvlan -o parent=eth0 --subnet 10.7.0.0/24 mac")
    ground.passes("docker.network", name="blue", driver="bridge", subnet="10.9.0.0/24", gateway="10.9.0.254", ip_range="10.9.0.128/25", internal=True, ipv6=False, attachable=True)
    ground.passes("docker.network", name="blue", labels={"tier": "back"}, options={"com.docker.network.driver.mtu": 1400})
    ground.passes("docker.network", name="plain", gateway="10.8.0.1", internal=False, attachable=False)  # Docker chose it, and does not say so
    ground.passes("docker.network", name="six", ipv6=True, subnet="fd00:9:0::/64")
    ground.passes("docker.network", name="mac", driver="macvlan", options={"parent": "eth0"})
    ground.fails("docker.network", "There is still a network `blue`.", name="blue", exists=False)
    ground.fails("docker.network", "The driver of `mac` is `macvlan`, not `bridge`.", name="mac", driver="bridge")
    ground.fails("docker.network", "The subnet of `blue` is `10.9.0.0/24`, not `192.168.78.0/24`.", name="blue", subnet="192.168.78.0/24")
    ground.fails("docker.network", "`host` has no subnet.", name="host", subnet="192.168.78.0/24")
    ground.fails("docker.network", "The gateway of `blue` is `10.9.0.254`, not `10.9.0.1`.", name="blue", gateway="10.9.0.1")
    ground.fails("docker.network", "The gateway of `plain` is `10.8.0.1`, not `10.8.0.254`.", name="plain", gateway="10.8.0.254")
    ground.fails("docker.network", "The address range of `blue` is `10.9.0.128/25`, not `10.9.0.0/25`.", name="blue", ip_range="10.9.0.0/25")
    ground.fails("docker.network", "`plain` has no address range: all of its subnet is given out.", name="plain", ip_range="10.8.0.0/25")
    ground.fails("docker.network", "`blue` is internal.", name="blue", internal=False)
    ground.fails("docker.network", "`plain` is not internal.", name="plain", internal=True)
    ground.fails("docker.network", "`plain` has no IPv6.", name="plain", ipv6=True)
    ground.fails("docker.network", "`six` has IPv6.", name="six", ipv6=False)
    ground.fails("docker.network", "`plain` is not attachable.", name="plain", attachable=True)
    ground.fails("docker.network", "The label `tier` of `blue` is `back`, not `front`.", name="blue", labels={"tier": "front"})
    ground.fails("docker.network", "`plain` has no label `tier`.", name="plain", labels={"tier": "back"})
    ground.fails("docker.network", "`plain` has no option `parent`.", name="plain", options={"parent": "eth0"})


def test_attached(ground):
    """docker.attached"""
    ground.sh("docker network create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue; docker network create teal; docker run -d --name web nginx; docker run -d --name none --network none busybox sleep 1000")
    ground.fails("docker.attached", "`web` is only on `bridge`.", container="web", network="blue")
    ground.passes("docker.attached", container="web", network="blue", exists=False)
    ground.sh("docker network connect --ip 10.9.0.7 --ip6 fd00:9::7 --alias db blue web")
    ground.passes("docker.attached", container="web", network="blue", ip="10.9.0.7", ip6="fd00:9:0::7", alias="db")
    ground.passes("docker.attached", container="web", network="blue", alias="web")
    ground.fails("docker.attached", "The address of `web` on `blue` is `10.9.0.7`, not `10.9.0.8`.", container="web", network="blue", ip="10.9.0.8")
    ground.fails("docker.attached", "The address of `web` on `blue` is `fd00:9::7`, not `fd00:9::8`.", container="web", network="blue", ip6="fd00:9::8")
    ground.fails("docker.attached", "`web` has no IPv6 address on `bridge`.", container="web", network="bridge", ip6="fd00:9::8")
    ground.fails("docker.attached", "`web` is not known as `api` on `blue`.", container="web", network="blue", alias="api")
    ground.fails("docker.attached", "`web` is also on `bridge`.", container="web", network="blue", only=True)
    ground.fails("docker.attached", "`web` is still on `bridge`.", container="web", network="bridge", exists=False)
    ground.fails("docker.attached", "`web` is only on `blue` and `bridge`.", container="web", network="teal")
    ground.sh("docker network disconnect bridge web")
    ground.passes("docker.attached", container="web", network="blue", only=True)
    ground.fails("docker.attached", "There is no network `red`.", container="web", network="red")
    ground.fails("docker.attached", "There is no container `db`.", container="db", network="blue")
    ground.fails("docker.attached", "There is no container `db`.", container="db", network="blue", exists=False)
    ground.fails("docker.attached", "`none` is on no network.", container="none", network="blue")
    ground.sh("docker stop -t 0 web")
    assert ground.judge("docker.attached", container="web", network="blue").why.startswith("`web` exists but is stopped (exit code")


def test_link(ground):
    """net.link"""
    ground.passes("net.link", name="docker0", kind="bridge", up=True)
    ground.fails("net.link", "There is still an interface `docker0`.", name="docker0", exists=False)
    ground.fails("net.link", "There is no interface `br0`.", name="br0")
    ground.passes("net.link", name="br0", exists=False)
    ground.sh("docker run -d --name web nginx; docker create --name made busybox; ip netns add blue; ip netns exec blue ip link add v0 type veth peer name v1; ip netns exec blue ip link add br0 type bridge; ip netns exec blue ip link set v0 master br0 up")
    for kind, more in (("macvlan", "link v0 name x type macvlan"), ("ipvlan", "link v1 name x type ipvlan"), ("vxlan", "x type vxlan id 7 dstport 4789"), ("vlan", "link v0 name x type vlan id 7"), ("dummy", "x type dummy")):
        if ground.run(f"ip netns exec blue ip link add {more}").exit_code == 0:  # not every kernel has them all
            ground.passes("net.link", name="x", netns="blue", kind=kind, up=False)
            ground.sh("ip netns exec blue ip link delete x")
    ground.passes("net.link", name="v0", netns="blue", kind="veth", master="br0")
    ground.fails("net.link", "In the namespace `blue`: `v0` is a veth, not a bridge.", name="v0", netns="blue", kind="bridge")
    ground.fails("net.link", "In the namespace `blue`: `v1` is down.", name="v1", netns="blue", up=True)
    ground.fails("net.link", "In the namespace `blue`: `v0` is up.", name="v0", netns="blue", up=False)
    ground.fails("net.link", "In the namespace `blue`: `v1` is attached to no bridge.", name="v1", netns="blue", master="br0")
    ground.fails("net.link", "In the namespace `blue`: `v0` is attached to `br0`, not to `br1`.", name="v0", netns="blue", master="br1")
    ground.fails("net.link", "There is no network namespace `red`.", name="v0", netns="red")
    ground.fails("net.link", "There is no network namespace `..`.", name="v0", netns="..")
    ground.passes("net.link", **{"in": "web"}, name="eth0", kind="veth", up=True)
    ground.fails("net.link", "In `web`: There is no interface `docker0`.", **{"in": "web"}, name="docker0")
    ground.fails("net.link", "The container `made` is stopped, so it has no network.", **{"in": "made"}, name="eth0")
    ground.fails("net.link", "There is no container `nope`.", **{"in": "nope"}, name="eth0", exists=False)


def test_address_and_route(ground):
    """net.address and net.route"""
    ground.sh("docker run -d --name web nginx; ip netns add blue; ip netns exec blue ip link add v0 type veth peer name v1; ip -n blue addr add 10.0.0.1/24 dev v0; ip -n blue addr add fd00::1/64 dev v0 nodad; ip -n blue link set v0 up; ip -n blue link set v1 up; ip -n blue route add default via 10.0.0.2; ip -n blue route add 10.1.0.0/24 dev v1; ip -n blue -6 route add default via fd00::2")
    ground.passes("net.address", link="docker0", address="172.17.0.1/16")
    ground.passes("net.address", link="eth0", address="172.17.0.2", **{"in": "web"})
    ground.passes("net.address", link="v0", address="10.0.0.1/24", netns="blue")
    ground.passes("net.address", link="v0", address="fd00:0::1", netns="blue")
    ground.passes("net.address", link="v0", address="10.0.0.9", netns="blue", exists=False)
    ground.fails("net.address", "In the namespace `blue`: `v0` has the address `10.0.0.1/24`, not `10.0.0.1/16`.", link="v0", address="10.0.0.1/16", netns="blue")
    ground.fails("net.address", "In the namespace `blue`: The address `10.0.0.1` is on `v0`, not on `v1`.", link="v1", address="10.0.0.1", netns="blue")
    ground.fails("net.address", "In the namespace `blue`: `v1` has no IPv4 address.", link="v1", address="10.0.0.2/24", netns="blue")
    ground.fails("net.address", "In the namespace `blue`: `v1` has no IPv6 address.", link="v1", address="fd00::9", netns="blue")
    ground.fails("net.address", "`docker0` still has the address `172.17.0.1/16`.", link="docker0", address="172.17.0.1/16", exists=False)
    ground.fails("net.address", "There is no interface `br9`.", link="br9", address="10.0.0.1")
    ground.passes("net.route", to="default", via="172.17.0.1", dev="eth0", **{"in": "web"})
    ground.passes("net.route", to="10.1.0.0/24", dev="v1", netns="blue")
    ground.passes("net.route", to="default", via="fd00::2", netns="blue")
    ground.passes("net.route", to="10.2.0.0/24", exists=False)
    ground.fails("net.route", "In the namespace `blue`: The default route goes by way of `10.0.0.2`, not of `10.0.0.3`.", to="default", via="10.0.0.3", netns="blue")
    ground.fails("net.route", "In the namespace `blue`: The route to `10.1.0.0/24` goes to the wire of `v1`, not by way of `10.0.0.2`.", to="10.1.0.0/24", via="10.0.0.2", netns="blue")
    ground.fails("net.route", "In the namespace `blue`: The default route goes through `v0`, not through `v1`.", to="default", dev="v1", netns="blue")
    ground.fails("net.route", "There is no route to `10.1.0.0/24`.", to="10.1.0.0/24")
    ground.fails("net.route", "There is no default route.", to="default")
    ground.fails("net.route", "In `web`: There is still a default route.", to="default", exists=False, **{"in": "web"})


def test_reach_and_resolve(ground):
    """net.reach and net.resolve, from a host, a container and a namespace"""
    ground.sh("docker network create --subnet 10.9.0.0/24 blue; docker run -d --name web --network blue --network-alias db -p 9080:80 nginx; docker run -d --name near --network blue busybox sleep 1000; docker run -d --name far busybox sleep 1000; docker run -d --name alone --network none busybox sleep 1000; ip netns add blue; ip -n blue link set lo up")
    address = ground.sh("ip -4 -br addr show eth0 | awk '{print $3}' | cut -d/ -f1")
    ground.later("net.reach", to="10.9.0.2:80")
    ground.passes("net.reach", **{"from": "client"}, to=f"http://{address}:9080/nothing-there")
    ground.passes("net.reach", **{"from": "client"}, to=address)
    ground.passes("net.reach", **{"from": "client"}, to="lab")
    ground.passes("net.reach", on="client", to="lab:9080")
    ground.passes("net.reach", **{"from": "near"}, to="web:80")
    ground.passes("net.reach", **{"from": "near"}, to="http://db/")
    ground.passes("net.reach", **{"from": "near"}, to="web")
    ground.passes("net.reach", netns="blue", to="127.0.0.1")
    ground.passes("net.reach", **{"from": "far"}, to="web:80", expect=False)
    ground.passes("net.reach", **{"from": "far"}, to="10.9.0.2:80", expect=False)  # Docker keeps its networks apart
    ground.fails("net.reach", "`far` gets no answer from `10.9.0.2:80`.", **{"from": "far"}, to="10.9.0.2:80")
    ground.fails("net.reach", "`near` reaches `web:80`.", **{"from": "near"}, to="web:80", expect=False)
    ground.fails("net.reach", "`web:81` refuses the connection from `near`: nothing listens there.", **{"from": "near"}, to="web:81")
    ground.fails("net.reach", "`client` has no route to `10.9.0.2`.", **{"from": "client"}, to="10.9.0.2:80")
    ground.fails("net.reach", "`alone` has no route to `10.9.0.2`.", **{"from": "alone"}, to="10.9.0.2")
    ground.fails("net.reach", "`blue` has no route to `10.9.0.2`.", netns="blue", to="10.9.0.2")
    ground.fails("net.reach", "`lab` does not know the name `web`, and has no name server to ask.", to="web:80")
    ground.fails("net.reach", "`near` does not know the name `wbe`.", **{"from": "near"}, to="wbe:80")
    ground.fails("net.reach", "There is no container `nope`.", **{"from": "nope"}, to="web:80", expect=False)
    ground.fails("net.reach", "There is no network namespace `red`.", netns="red", to="web:80")
    assert ground.judge("net.reach", to="10.9.0.99:80").why in ("Nobody answers for the address `10.9.0.99` on the wire.", "`lab` gets no answer from `10.9.0.99:80`.")
    assert ground.judge("net.reach", to="10.9.0.99").why in ("Nobody answers for the address `10.9.0.99` on the wire.", "`lab` gets no answer from `10.9.0.99`.")
    ground.passes("net.resolve", **{"from": "near"}, name="web")
    ground.passes("net.resolve", **{"from": "near"}, name="db", to="10.9.0.2")
    ground.passes("net.resolve", **{"from": "client"}, name="lab", to=address)
    ground.passes("net.resolve", **{"from": "far"}, name="web", expect=False)
    ground.fails("net.resolve", "For `near`, the name `db` stands for `10.9.0.2`, not for `10.9.0.9`.", **{"from": "near"}, name="db", to="10.9.0.9")
    ground.fails("net.resolve", "`near` knows the name `db`: it stands for `10.9.0.2`.", **{"from": "near"}, name="db", expect=False)
    ground.fails("net.resolve", "`client` does not know the name `web`, and has no name server to ask.", **{"from": "client"}, name="web")
    assert ground.judge("net.resolve", **{"from": "far"}, name="web").why.startswith("`far` does not know the name `web`")
    ground.sh("docker stop -t 0 web")
    ground.fails("net.reach", "The container `web` is stopped, so it has no network.", **{"from": "web"}, to="near")


def test_podmans_containers_too(ground):
    ground.sh("podman run -d --name pod -p 9191:80 busybox:latest httpd -f -p 80; podman create --name made busybox:latest")
    address = ground.sh("podman inspect -f '{{.NetworkSettings.IPAddress}}' pod")
    ground.passes("net.link", **{"in": "pod"}, name="eth0", kind="veth")
    ground.passes("net.address", **{"in": "pod"}, link="eth0", address=address)
    ground.later("net.reach", to=f"http://{address}/")
    ground.passes("net.reach", **{"from": "pod"}, to="10.88.0.1")
    ground.passes("net.nat", masquerade="10.88.0.0/16")
    ground.passes("net.nat", publishes=9191, to=f"{address}:80")
    ground.fails("net.link", "The container `made` is stopped, so it has no network.", **{"in": "made"}, name="eth0")
    ground.fails("net.link", "There is no container `nope`.", **{"in": "nope"}, name="eth0")


def test_nat(ground):
    """net.nat"""
    ground.passes("net.nat", masquerade="172.17.0.0/16")
    ground.fails("net.nat", "What comes from `172.17.0.0/16` is still masqueraded.", masquerade="172.17.0.0/16", exists=False)
    ground.fails("net.nat", "No rule masquerades what comes from `10.55.0.0/24`.", masquerade="10.55.0.0/24")
    ground.fails("net.nat", "No rule passes port `9080` on.", publishes=9080)
    ground.passes("net.nat", publishes=9080, exists=False)
    ground.sh("docker run -d --name web -p 9080:80 nginx; iptables -t nat -A POSTROUTING -s 10.55.0.0/24 -o eth0 -j MASQUERADE; nft add table ip mine; nft add chain ip mine post '{ type nat hook postrouting priority 90; }'; nft add rule ip mine post ip saddr 10.66.0.0/16 masquerade; nft add chain ip mine pre '{ type nat hook prerouting priority -90; }'; nft add rule ip mine pre tcp dport 7070 dnat to 10.66.0.2:80")
    ground.passes("net.nat", masquerade="10.55.0.0/24")
    ground.passes("net.nat", masquerade="10.66.3.0/24")
    ground.passes("net.nat", publishes=9080, to="172.17.0.2:80")
    ground.passes("net.nat", publishes=7070, to="10.66.0.2:80")
    ground.fails("net.nat", "Port `9080` is passed on to `172.17.0.2:80`, not to `172.17.0.3:80`.", publishes=9080, to="172.17.0.3:80")
    ground.fails("net.nat", "Port `9080` is still passed on to `172.17.0.2:80`.", publishes=9080, exists=False)
    ground.sh("iptables -t nat -D POSTROUTING -s 10.55.0.0/24 -o eth0 -j MASQUERADE; nft delete table ip mine")
    ground.passes("net.nat", masquerade="10.55.0.0/24", exists=False)


def test_listen(ground):
    """net.listen"""
    ground.passes("net.listen", port=9080, expect=False)
    ground.fails("net.listen", "Nothing listens on port `9080`.", port=9080)
    ground.sh("docker run -d --name web -p 9080:80 -p 127.0.0.1:9081:80 nginx")
    ground.passes("net.listen", port=9080, program="docker-proxy")
    ground.passes("net.listen", port=9080, address="0.0.0.0")
    ground.passes("net.listen", port=9081, address="127.0.0.1")
    ground.fails("net.listen", "`docker-proxy` listens on `:9080`, not `dockerd`.", port=9080, program="dockerd")
    ground.fails("net.listen", "Port `9080` is open on every address, not only on `127.0.0.1`.", port=9080, address="127.0.0.1")
    ground.fails("net.listen", "Port `9081` is open on `127.0.0.1`, not on `0.0.0.0`.", port=9081, address="0.0.0.0")
    ground.fails("net.listen", "`docker-proxy` listens on `127.0.0.1:9081`.", port=9081, expect=False)


def test_file(ground):
    """file"""
    ground.fails("file", "There is no file `/tmp/daemon.json`.", path="/tmp/daemon.json")
    ground.passes("file", path="/tmp/daemon.json", exists=False)
    ground.sh("""printf '{"hosts": []}\\n' > /tmp/daemon.json; chmod 600 /tmp/daemon.json""")
    ground.passes("file", path="/tmp/daemon.json", contains=['"hosts"', "[]"], lacks="tcp:", mode="0600")
    ground.fails("file", "There is still `/tmp/daemon.json`.", path="/tmp/daemon.json", exists=False)
    ground.fails("file", "`/tmp/daemon.json` does not hold `tcp:`.", path="/tmp/daemon.json", contains="tcp:")
    ground.fails("file", '`/tmp/daemon.json` still holds `"hosts"`.', path="/tmp/daemon.json", lacks='"hosts"')
    ground.fails("file", "The mode of `/tmp/daemon.json` is `0600`, not `0644`.", path="/tmp/daemon.json", mode="0644")
    ground.sh("rm /tmp/daemon.json; mkfifo /tmp/daemon.json")
    ground.fails("file", "`/tmp/daemon.json` is no regular file.", path="/tmp/daemon.json", contains="tcp:")
    ground.sh("rm /tmp/daemon.json; mkdir /tmp/daemon.json")
    ground.fails("file", "`/tmp/daemon.json` is a folder, not a file.", path="/tmp/daemon.json", contains="tcp:")
    ground.sh("rmdir /tmp/daemon.json; ln -s /tmp/daemon.json /tmp/daemon.json")
    assert ground.judge("file", path="/tmp/daemon.json").state == "unknown"
    ground.sh("rm /tmp/daemon.json")


def test_service(ground):
    """service"""
    ground.passes("service", name="docker")
    ground.fails("service", "The service `docker` is still active.", name="docker", active=False)
    ground.fails("service", "There is no service `tomcat`.", name="tomcat")
    ground.passes("service", name="tomcat", active=False)
    ground.sh("systemd-run -q --unit=mine sleep 1000; systemd-run -q --unit=broken false; sleep 0.3")
    ground.passes("service", name="mine")
    ground.fails("service", "The service `broken` has failed: `systemctl status broken` says more.", name="broken")
    ground.sh("systemctl stop mine")
    assert ground.judge("service", name="mine").state == "failed"


# Hosts whose root does not want to be looked at


def check(name, kind, params=None, **more):
    typed = TYPES[kind].Params.model_validate(params) if params is not None else None
    return Check(**{"name": name, "kind": kind, "title": "", "hints": (), "needs": (), "host": "lab", "guard": False, "why": "no", "params": typed, **more})


ALL = [
    check("container", "docker.container", {"name": "web"}), check("network", "docker.network", {"name": "blue"}), check("attached", "docker.attached", {"container": "web", "network": "blue"}),
    check("link", "net.link", {"name": "eth0", "in": "web"}), check("address", "net.address", {"link": "eth0", "address": "10.0.0.1", "in": "web"}), check("route", "net.route", {"to": "default", "in": "web"}),
    check("reach", "net.reach", {"from": "web", "to": "a:80"}), check("resolve", "net.resolve", {"from": "web", "name": "a"}),
]  # fmt: skip


def graded(ground, checks) -> dict[str, Result]:
    began = time.monotonic()
    results = asyncio.run(grade(checks, {}, ground.inside.run))
    assert time.monotonic() - began < 5.8
    return results


def test_dockerd_that_hangs_is_not_known(ground):
    ground.sh("kill -STOP $(pidof dockerd)")
    try:
        results = graded(ground, ALL)
    finally:
        ground.sh("kill -CONT $(pidof dockerd)")
    assert {result.state for result in results.values()} == {"unknown"}, results
    assert results["container"].why == "dockerd does not answer on `lab`."


def test_a_dockerd_that_was_stopped_stays_so(ground):
    """systemd holds its socket, so a question on it would start it: a check must change nothing."""
    ground.sh("systemctl stop docker.service")
    try:
        assert ground.sh("systemctl is-active docker.socket") == "active"
        assert {result.why for result in graded(ground, ALL).values()} == {"dockerd does not run on `lab`."}
        ground.passes("service", name="docker", active=False)
    finally:
        ground.sh("systemctl start docker.service")


OWN = [
    check("link", "net.link", {"name": "eth0"}), check("route", "net.route", {"to": "default"}), check("nat", "net.nat", {"masquerade": "10.99.0.0/16"}),
    check("listen", "net.listen", {"port": 99}), check("service", "service", {"name": "docker"}), check("file", "file", {"path": "/etc/hosts"}),
]  # fmt: skip


@pytest.mark.parametrize("programs", ["ip ss iptables-save nft systemctl", "python3"])
@pytest.mark.parametrize("does", ["yes", "exec sleep 100", "echo '[3]'", "exit 1", "kill -9 $$"])
def test_programs_of_the_students_own(ground, programs, does):
    """Their answer is believed at most as far as a sentence: there is a verdict in time, and nothing of it goes on."""
    ground.sh(f"cat > /tmp/own <<'END'\n#!/bin/sh\n{does}\nEND\nchmod +x /tmp/own; for program in {programs}; do mv /tmp/own /usr/local/bin/$program; cp /usr/local/bin/$program /tmp/own; done")
    try:
        results = graded(ground, OWN)
    finally:
        ground.sh(f"cd /usr/local/bin; rm {programs} /tmp/own")
    surely = {"link", "route", "service"} | (set() if programs != "python3" else {"nat", "listen", "file"})
    assert {results[name].state for name in surely} <= {"unknown", "failed"} and results["link"].state == results["route"].state == "unknown", results
    assert ground.run("sleep 0.3; pgrep -x yes; pgrep -fx 'sleep 100'; true").out == ""
    ground.passes("net.link", name="eth0")


def test_scripts_are_in_no_command_line(ground):
    look = "# a-secret-solution\ncat /proc/*/cmdline | tr '\\0' ' ' | grep -c 'a-secret[-]solution'"
    assert ground.run(look).out == "0\n"


def test_endless_output_and_scripts_that_stay(ground):
    checks = [check("flood", "run", run="yes"), check("stay", "run", run="sleep 100 & disown; exec sleep 100"), check("fork", "run", run="setsid -f sleep 2; exit 0"), check("no", "run", run="exit 1"), check("next", "run", run="true", needs=["stay"])]
    states = {name: result.state for name, result in graded(ground, checks).items()}
    assert states.pop("next") in ("waits", "unknown")  # its time may be over before that of the one that it waits for
    assert states == {"flood": "unknown", "stay": "unknown", "fork": "passed", "no": "failed"}
    assert ground.run("sleep 0.3; pgrep -x yes; pgrep -fx 'sleep 100'; true").out == ""


def test_a_host_without_an_agent(ground):
    """Last, for it leaves one host without."""
    with pytest.raises(NoAnswer):  # the answer's carrier is ended with it
        ground.run("systemctl stop patchbay-agent.socket patchbay-agent.service", "client")
    results = graded(ground, [check("client", "run", run="true", host="client"), check("lab", "run", run="true"), check("from", "net.reach", {"from": "client", "to": "lab"}), check("gone", "run", run="true", host="third")])
    assert results == {
        "client": Result("unknown", "`client` does not answer."), "lab": Result("passed"), "from": Result("unknown", "`client` does not answer."),
        "gone": Result("unknown", "There is no host `third` in this lab."),
    }  # fmt: skip
