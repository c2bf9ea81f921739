"""Every command of the text that the project was made after, as typed there, save for the names of images and interfaces."""
import pytest

from .driving import run

COMMANDS = [
    ("ip ad sh", ["lo:", "eth0@", "docker0:", "172.17.0.1/16"]),
    ('podman run -p 9080:8080 --name "tomcat9" -d tomcat', []),
    ("podman ps", ["tomcat9", "0.0.0.0:9080->8080/tcp"]),
    ("podman exec tomcat9 ip ad sh", ["lo:", "eth0@if", "10.88.0."]),
    ("ip ad sh podman0", ["podman0", "10.88.0.1/16"]),
    ("ping -c 1 $(podman inspect -f '{{.NetworkSettings.IPAddress}}' tomcat9)", ["1 received"]),
    ("podman info -f '{{.Store.GraphDriverName}}'", ["vfs"]),
    ("podman rm -f -t 0 tomcat9", ["tomcat9"]),
    ('docker run -p 9080:8080 --name "tomcat9" -d tomcat', []),
    ('docker run -p 9081:8080 --name "tomcat10" -d tomcat', []),
    ("docker exec tomcat9 ip ad sh", ["lo:", "eth0@if", "172.17.0.2/16"]),
    ("ping -c 1 172.17.0.2", ["1 received"]),
    ("brctl show", ["bridge name", "docker0", "veth"]),
    ("iptables -t nat -xvnL", ["MASQUERADE", "!docker0", "172.17.0.0/16", "DNAT"]),
    ("docker rm -f tomcat9 tomcat10", ["tomcat9"]),
    ("docker network --help", ["Manage networks", "disconnect"]),
    ("docker network ls", ["bridge", "host", "none"]),
    ("docker network create --help", ["--subnet", "--gateway", "--driver"]),
    ("docker network create --driver bridge --subnet 192.168.78.0/24 --gateway 192.168.78.1 net_test", []),
    ("docker network ls", ["net_test"]),
    ("docker network inspect net_test", ['"Subnet": "192.168.78.0/24"', '"Gateway": "192.168.78.1"']),
    ('docker run -d -P --name "tomcat-net-01" --net net_test tomcat', []),
    ('docker run -d -P --name "tomcat-net-02" --net net_test tomcat', []),
    ("docker exec -it tomcat-net-01 ping -c 1 tomcat-net-02", ["1 received"]),
    ("docker exec -it tomcat-net-02 ping -c 1 tomcat-net-01", ["1 received"]),
    ("docker network connect --help", ["--alias", "--ip6", "--link-local-ip"]),
    ("docker network connect bridge tomcat-net-01", []),
    ("docker exec tomcat-net-01 ip -br addr", ["eth1", "172.17.0."]),
    ("docker rm -f tomcat-net-01 tomcat-net-02", []),
    ("docker network create -d macvlan -o parent=eth0 --subnet 10.99.0.0/24 macnet", []),
    ("docker network ls", ["macnet"]),
    ("ls -l /var/run/docker.sock", ["srw-rw----"]),
    (
        """printf '%s' '{"storage-driver": "overlay2", "registry-mirrors": ["https://mirror.example"], "bip": "10.0.0.1/16", "hosts": ["tcp://0.0.0.0:2375", "unix:///var/run/docker.sock"]}' > /etc/docker/daemon.json""",
        [],
    ),
    ("cat /etc/docker/daemon.json", ['"bip": "10.0.0.1/16"']),
    # As typed there. A reload does not open the port: `hosts` is not reloadable.
    ("systemctl reload docker", []),
    # What it takes in truth: the unit's own -H must go, and a restart.
    (r"mkdir -p /etc/systemd/system/docker.service.d && printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd\n' > /etc/systemd/system/docker.service.d/hosts.conf", []),
    ("systemctl daemon-reload && systemctl restart docker", []),
    ("docker -H tcp://127.0.0.1:2375 version -f '{{.Server.Version}}'", ["26."]),
    ("ip ad sh docker0", ["10.0.0.1/16"]),
]


def test_every_command_of_the_seed(student):
    """One student types them all, in order, into one shell."""
    for text, expected in COMMANDS:
        code, output = run(student, text)
        assert code == 0, f"{text}\n{output}"
        for words in expected:
            assert words in output, f"{words!r} is not in the output of {text}\n{output}"


@pytest.mark.parametrize("table", ["nat", "filter"])
def test_a_new_host_has_the_rules_of_a_fresh_docker_host(student, table):
    fresh = {
        "nat": {
            "-P PREROUTING ACCEPT", "-P INPUT ACCEPT", "-P OUTPUT ACCEPT", "-P POSTROUTING ACCEPT", "-N DOCKER",
            "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
            "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", "-A DOCKER -i docker0 -j RETURN",
        },
        "filter": {
            "-P INPUT ACCEPT", "-P FORWARD DROP", "-P OUTPUT ACCEPT", "-N DOCKER", "-N DOCKER-ISOLATION-STAGE-1", "-N DOCKER-ISOLATION-STAGE-2", "-N DOCKER-USER",
            "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1", "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
            "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2", "-A DOCKER-ISOLATION-STAGE-1 -j RETURN",
            "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP", "-A DOCKER-ISOLATION-STAGE-2 -j RETURN", "-A DOCKER-USER -j RETURN",
        },
    }  # fmt: skip
    code, output = run(student, f"iptables -t {table} -S")
    assert code == 0
    assert {line.strip() for line in output.splitlines() if line.startswith("-")} == fresh[table]


def test_a_new_host_is_healthy(student):
    assert run(student, "systemctl is-system-running")[1].strip().endswith("running")
    code, output = run(student, "docker images --format '{{.Repository}}:{{.Tag}}'")
    assert code == 0
    assert {"tomcat:latest", "nginx:latest", "busybox:latest", "nettools:latest"} <= set(output.split())


def test_the_images_are_shared_and_cannot_be_written(student):
    assert run(student, "touch /opt/patchbay/docker/x")[0] != 0
    assert run(student, "mount -o remount,rw /opt/patchbay/docker")[0] != 0
    layer = "$(ls -d /var/lib/docker/overlay2/*/diff | head -1)"
    assert run(student, f"touch {layer}/x")[0] != 0
    assert run(student, "docker run --rm -v /opt/patchbay/docker:/store nginx sh -c 'touch /store/x || mount -o remount,rw /store'")[0] != 0
    assert run(student, "docker rmi busybox:latest busybox:1.37")[0] == 0
    assert run(student, f"ls {layer}")[0] == 0, "only this host's link to the image is gone"


def test_the_images_outlive_a_restart_of_dockerd(student):
    """It unmounts what lies below its folder when it stops."""
    assert run(student, "docker run -d --name web --restart always nginx")[0] == 0
    for how in ("systemctl restart docker", "systemctl kill -s KILL docker; until docker ps; do sleep 0.2; done"):
        assert run(student, how)[0] == 0
        assert run(student, "docker run --rm nginx nginx -v")[0] == 0
        assert run(student, "docker start web; docker exec web ls /usr/sbin/nginx")[0] == 0


def test_limits(student):
    assert "1024" in run(student, "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null")[1]
    memory = run(student, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null")[1]
    assert str(768 * 1024 * 1024) in memory
    assert "100000" in run(student, "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null")[1]
