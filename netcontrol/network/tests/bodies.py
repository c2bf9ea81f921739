"""Bodies made by hand, small, as an agent would send them: for what no recording shows."""
from typing import Any

HOSTS = [{"name": "lab", "address": "10.73.0.2"}]
ROOT = "100"


def link(index: int, name: str, kind: str = "", **more: Any) -> dict[str, Any]:
    """`more`: addresses, state, data (of its kind), or what `ip` says as it says it."""
    state, addresses, data = more.pop("state", "up"), more.pop("addresses", ()), more.pop("data", {})
    flags = {"up": ["UP", "LOWER_UP"], "down": [], "no-carrier": ["NO-CARRIER", "UP"]}[state]
    said = []
    for address in addresses:
        local, _, length = address.partition("/")
        said.append({"family": "inet6" if ":" in local else "inet", "local": local, "prefixlen": int(length), "scope": "link" if local.startswith("fe80") else "global"})
    info = {"linkinfo": {"info_kind": kind, "info_data": data}} if kind else {"link_type": "loopback"} if name == "lo" else {}
    return {"ifindex": index, "ifname": name, "flags": flags, "mtu": 1500, "address": f"02:00:00:00:00:{index:02x}", "addr_info": said, **info, **more}


def space(id: str, *links: dict, **more: Any) -> dict[str, Any]:
    return {"id": id, "root": id == ROOT, "names": [], "pid": 7, "links": list(links), "routes": [], "iptables": "", "ip6tables": "", "nft": [], "forward": {"ip": True, "ip6": False}, "listen": [], **more}


def jack(**more: Any) -> dict[str, Any]:
    return link(2, "eth0", "veth", **{"addresses": ["10.73.0.2/28"], "link_index": 90, "link_netnsid": 0, **more})


def body(*spaces: dict, **more: Any) -> dict[str, Any]:
    docker = {"state": "up", "networks": more.pop("networks", []), "containers": more.pop("containers", [])}
    return {"spaces": list(spaces), "docker": docker, "podman": {"containers": [], "networks": []}, "system": {"os": "Debian 13", "docker": "26.1.5", "podman": ""}, "left_out": {}, **more}


def container(digit: str, name: str, **more: Any) -> dict[str, Any]:
    facts = {"Id": digit * 64, "Name": f"/{name}", "Image": "nginx", "State": {"Status": "running", "Pid": 5, "ExitCode": 0}, "Mode": "bridge", "Networks": {}, "Ports": {}, "Exposed": [], "Labels": {}, "space": ""}
    return {**facts, **more}


def network(digit: str, name: str, **more: Any) -> dict[str, Any]:
    facts = {"Id": digit * 64, "Name": name, "Driver": "bridge", "Scope": "local", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]}, "Options": {}, "Labels": {}}
    return {**facts, **more}
