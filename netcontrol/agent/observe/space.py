"""What is in one network namespace, as JSON texts, made of what its programs say. Must not know how one is found, or entered.

What a program does not say, because it was killed or cannot be started, stays as it was and is asked for again.
"""

from ..limits import MAX_PIECES, MAX_SAID, ROOM_LINKS, ROOM_ROUTES, ROOM_RULES
from ..untrusted import Unreadable, read_object
from . import rules
from .bounded import array, arrays, dumps
from .kernel import ALL
from .programs import Program

BORING = frozenset(
    ("qdisc", "group", "txqlen", "promiscuity", "allmulti", "min_mtu", "max_mtu", "num_tx_queues", "num_rx_queues", "gso_max_size", "gso_max_segs",
     "tso_max_size", "tso_max_segs", "gro_max_size", "gso_ipv4_max_size", "gro_ipv4_max_size", "stats", "stats64", "valid_life_time",
     "preferred_life_time", "tentative")
)  # fmt: skip  of no use to anybody here, or different each time
BRIDGE, PORT = ("stp_state", "vlan_filtering", "vlan_protocol", "vlan_default_pvid", "mcast_snooping", "bridge_id"), ("state", "hairpin", "isolated")
SAVED = {"ip": "iptables", "ip6": "ip6tables"}  # family -> whose program says its rules


class Space:
    def __init__(self) -> None:
        self.links = self.routes = self.nft = "[]"
        self.saved = {"iptables": "", "ip6tables": ""}
        self.vlans = "null"
        self.number = ALL  # by which the root namespace knew this one when it was read last
        self.fingerprint = 0  # of its links, addresses and routes then, if the kernel does not tell of it
        self.generation = -1  # of its rules when they were read last
        self.tables: list[tuple[str, str]] = []
        self.rules_are_new = self.bridge_filters = False
        self.peers: dict[int, str] = {}  # number of another namespace, as this one knows it -> its id
        self.wanted: set[int] = set()  # numbers that its links name
        self.asked: dict[str, Program] = {}
        self.each_time = ""  # what is read at each look
        self.left_out = {"links": 0, "routes": 0, "rules": 0, "listeners": 0}

    def text(self, id: str) -> str:
        peers = dumps({str(number): peer for number, peer in self.peers.items()})
        saved = ",".join(f'"{name}":{dumps(text)}' for name, text in self.saved.items())
        return f'{{"id":"{id}",{self.each_time},"peers":{peers},"links":{self.links},"routes":{self.routes},"vlans":{self.vlans},{saved},"nft":{self.nft}}}'

    # Its rules

    def renew(self, generation: int, tables: list[tuple[str, str]]) -> list[str]:
        """Its rules have changed, and these are its tables (family, name): the programs to ask."""
        self.generation, self.tables, self.rules_are_new, self.left_out["rules"] = generation, tables, True, 0
        families = {family for family, name in tables if rules.may_be_iptables(family, name)}
        for family, name in SAVED.items():
            if family not in families:
                self.saved[name] = ""
        return [SAVED[family] for family in SAVED if family in families]

    def other_tables(self) -> list[tuple[str, str]]:
        """Those of which iptables-save says nothing, and that are not ours. One that cannot be asked about is left out."""
        said = {(family, table) for family, name in SAVED.items() for table in rules.tables_in(self.saved[name])}
        others = [(family, name) for family, name in self.tables if (family, name) not in said and not rules.ours(name)]
        found = [(family, name) for family, name in others if rules.is_word(name)]
        self.left_out["rules"] += len(others) - len(found)
        return found

    # Answers

    def take(self) -> None:
        asked, self.asked = self.asked, {}
        tables = [asked.pop(name) for name in list(asked) if name.startswith("nft ")]
        if tables:
            self._take_nft(tables)
        for name, program in asked.items():
            if name == "ip":
                self._take_ip(program)
            elif name == "bridge":
                found = next(arrays(program.text(), MAX_PIECES), ([], 0))[0]
                self.vlans, _ = array(found, ROOM_ROUTES)
            elif program.code is None:
                self.generation = -1
            else:
                self.saved[name], left_out = rules.saved(program.text(), ROOM_RULES)
                self.left_out["rules"] += left_out

    def _take_nft(self, programs: list[Program]) -> None:
        if any(program.code is None for program in programs):
            self.generation = -1
            return
        self.nft, left_out = rules.listed([object for program in programs for object in _listed(program.text())], ROOM_RULES)
        self.left_out["rules"] += left_out

    def _take_ip(self, program: Program) -> None:
        if program.code is None:
            self.number = ALL
            return
        found: list[tuple[list[dict], int]] = [*arrays(program.text(), MAX_PIECES, _shown), ([], 0), ([], 0)]
        (links, more_links), (routes, more_routes) = found[:2]
        self.links, too_long = array(map(_link, links), ROOM_LINKS)
        self.left_out["links"] = more_links + too_long
        self.routes, too_long = array(map(_route, routes), ROOM_ROUTES)
        self.left_out["routes"] = more_routes + too_long
        self.wanted = {number for link in links if isinstance(number := link.get("link_netnsid"), int)}
        self.bridge_filters = any(_filters_vlans(link) for link in links)
        if not self.bridge_filters:
            self.vlans = "null"


def _link(link: dict) -> dict:
    """Without what nobody needs, or is different each time."""
    link = {key: value for key, value in link.items() if key not in BORING}
    if isinstance(link.get("addr_info"), list):
        link["addr_info"] = [{key: value for key, value in a.items() if key not in BORING} for a in link["addr_info"] if isinstance(a, dict)]
    info = link.get("linkinfo")
    if isinstance(info, dict):
        for kind, data, wanted in (("info_kind", "info_data", BRIDGE), ("info_slave_kind", "info_slave_data", PORT)):
            if info.get(kind) == "bridge" and isinstance(info.get(data), dict):
                info[data] = {key: info[data][key] for key in wanted if key in info[data]}
    return link


def _filters_vlans(link: dict) -> bool:
    info = link.get("linkinfo")
    data = info.get("info_data") if isinstance(info, dict) and info.get("info_kind") == "bridge" else None
    return isinstance(data, dict) and data.get("vlan_filtering") == 1


def _shown(object: dict) -> bool:
    """Not the routes that the kernel makes of each address. Links have neither of the two."""
    return object.get("table") != "local" and object.get("type") not in ("local", "broadcast", "multicast", "anycast")


def _route(route: dict) -> dict:
    """With its family. Only a route of IPv6 has a preference, and each has."""
    return {"family": "ip6" if "pref" in route else "ip", **route}


def _listed(text: str) -> list:
    try:
        found = read_object(text, MAX_SAID).get("nftables")
    except Unreadable:
        return []
    return found if isinstance(found, list) else []
