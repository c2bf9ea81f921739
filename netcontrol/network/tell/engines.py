"""dockerd, networks and containers: what the engines did. Takes along what comes and goes with them: namespaces, and Docker's own rules."""
from shlex import quote

from django.utils.translation import gettext_noop as _

from netcontrol.network.tell.story import Said, Sentence, Story, Thing

DAEMON_UP = Said(
    _("dockerd in `%(host)s` runs"),
    _("dockerd is the program behind the command `docker`: it starts containers and makes their networks. When it starts it writes its rules, switches forwarding on, makes `docker0` if that is not there, and starts the containers that have a restart policy."),
)
DAEMON_DOWN = Said(
    _("dockerd in `%(host)s` no longer runs"),
    _("dockerd is the program behind the command `docker`. While it does not run, nobody can be asked which containers and networks there are, so none are shown. Containers mostly end with it; what it made in the kernel, such as bridges and rules, stays."),
)
DAEMON_SILENT = Said(
    _("dockerd in `%(host)s` does not answer"),
    _("dockerd runs, but does not say which containers and networks there are: it is just starting or stopping, or its socket is not where it belongs. What the kernel knows is still shown as it is."),
)
DAEMONS = {"up": DAEMON_UP, "down": DAEMON_DOWN, "silent": DAEMON_SILENT}
DAEMON_AGAIN = Said(
    _("dockerd in `%(host)s` was started again"),
    _("When dockerd starts, it makes its default network `bridge` anew: the network gets another ID, and `docker0` stays. Containers end with dockerd, unless `live-restore` is set, and those with a restart policy are started again."),
)
NETWORK = Said(
    _("network `%(name)s`: bridge `%(bridge)s`, `%(subnets)s`"),
    _("A network of the driver bridge is a Linux bridge in the host and a subnet. The bridge has an address of it, mostly the first, which is the router of its containers, and the kernel adds the route to the subnet. Each container that joins gets a cable to this bridge and an address."),
)
NETWORK_INTERNAL = Said(
    _("internal network `%(name)s`: bridge `%(bridge)s`, `%(subnets)s`"),
    _("A Linux bridge and a subnet, as with every network of the driver bridge. Because it is internal, nothing leads out: rules drop what would enter or leave, and containers get no default route by it."),
)
NETWORK_PARENT = Said(
    _("network `%(name)s`: `%(driver)s` on `%(parent)s`, `%(subnets)s`"),
    _("This driver makes no bridge. Each container that joins gets an interface that stands directly on the parent interface, so that the container is seen on the same wire as the host. The host itself cannot reach it by that interface."),
)
NETWORK_OTHER = Said(
    _("network `%(name)s`: driver `%(driver)s`, `%(subnets)s`"),
    _("The engine has it on record as a network. In the kernel of this host nothing belongs to it yet: some drivers make their part only when a container joins."),
)
NETWORK_GONE = Said(
    _("network `%(name)s` is removed"),
    _("A network can be removed when no container is on it. With it go its bridge, the address and the route of that bridge, and the rules that the engine wrote for it."),
)
RUNS = Said(
    _("container `%(name)s` runs `%(image)s`"),
    _("A container is a process with a file system of its own and, unless told otherwise, a network namespace of its own: its own interfaces, routes and ports. On the default network it gets an address, but no name that others could look up."),
)
RUNS_ON = Said(
    _("container `%(name)s` runs `%(image)s`, on %(networks)s"),
    _("The container joins this network from its start. On a network of your own, the engine's name server, 127.0.0.11 inside the container, gives its name, and the others listed here, to the containers on the same network."),
)
RUNS_HOST = Said(
    _("container `%(name)s` runs `%(image)s` in the network of the host"),
    _("With `--network host` the container gets no namespace of its own: it uses the interfaces, addresses and ports of the host. No cable is made, and a port needs no publishing: what it listens on, the host listens on."),
)
RUNS_NONE = Said(
    _("container `%(name)s` runs `%(image)s` without a network"),
    _("With `--network none` the container has a network namespace of its own, but no cable leads out of it. Only the loopback interface `lo` is there."),
)
RUNS_SHARED = Said(
    _("container `%(name)s` runs `%(image)s` in the network of `%(other)s`"),
    _("With `--network container:NAME` two containers share one network namespace: the same interfaces, addresses and ports. They reach one another on 127.0.0.1, and cannot both listen on the same port."),
)
ENDED_AT_ONCE = Said(
    _("container `%(name)s` ran `%(image)s` and exited with code `%(code)s`"),
    _("A container lasts as long as its first process. This one ended, so its network namespace and its cable are gone again. The container itself stays, with its exit code, until it is removed."),
)
MADE = Said(
    _("container `%(name)s` is made from `%(image)s`: `%(state)s`"),
    _("The container exists, but no process runs in it. A network namespace, a cable and an address come only when it is started."),
)
MADE_OTHERWISE = Said(
    _("container `%(name)s` is made from `%(image)s`: `%(state)s`"),
    _("Starting a container gives it a network namespace, a cable and an address, anew each time: the address may be another one. A paused container keeps all of that, but its processes do not run, so nothing answers."),
)
EXITED = Said(
    _("container `%(name)s`: `%(old)s` → `exited`, code `%(code)s`"),
    _("The first process of the container ended, and the container with it. Its namespace is gone, and so are its cable, its address and the rules for its ports. Codes above 128 mean that a signal ended it: 137 is SIGKILL, 143 SIGTERM."),
)
STATE = Said(
    _("container `%(name)s`: `%(old)s` → `%(new)s`"),
    _("Starting a container gives it a network namespace, a cable and an address, anew each time: the address may be another one. A paused container keeps all of that, but its processes do not run, so nothing answers."),
)
AGAIN = Said(
    _("container `%(name)s` was started again"),
    _("It is the same container with a new network namespace. The old cable went with the old namespace, and a new one was made. The address may be another one than before."),
)
REMOVED = Said(
    _("container `%(name)s` is removed"),
    _("With a container that is removed go its network namespace, its cable and its address, and the rules for its published ports. The network that it was on stays, and so does the image."),
)
CALLED = Said(
    _("container `%(old)s` is called `%(name)s` now"),
    _("Only the name is another one. ID, namespace, cable and address stay as they were. On networks of your own, others find the container under the new name."),
)
JOINED = Said(
    _("container `%(name)s` joins %(network)s"),
    _("A container can be on several networks. For each it gets one more interface with an address of that network, while it runs. Other containers on that network can look up its name, and the others listed here."),
)
LEFT = Said(
    _("container `%(name)s` is no longer on `%(network)s`"),
    _("The interface, the address and the names that the container had on this network are gone. What it has on other networks stays."),
)

def tell(story: Story) -> None:
    _daemons(story)
    _networks(story)
    _containers(story)


# The daemon


def _daemons(story: Story) -> None:
    for host, facts in story.alters("host", "docker_state"):
        if said := DAEMONS.get(facts["docker_state"][1]):
            story.say("~", "host", said, [host], [(host["name"], "systemctl status docker")], host=host["name"])
        _take_along(story, host["name"], silent=True)
    for now in story.comes("network", engine="docker"):
        was = next((each for each in story.goes("network", engine="docker", host=now["host"], name=now["name"]) if _is_default(each)), None)
        if was and _is_default(now):
            host = story.new[f"host:{now['host']}"]
            things = [host, now, *([rail] if (rail := story.thing(now["bridge"])) else [])]
            story.say("~", "host", DAEMON_AGAIN, things, [(host["name"], "systemctl status docker"), (host["name"], "docker network inspect bridge")], host=host["name"])
            story.let_pass(was, now)
            story.silent |= {was["id"], now["id"]}
            _take_along(story, host["name"], silent=False)


def _is_default(network: Thing) -> bool:
    """Where a container is put that names no network: there nobody is found by name."""
    return (network["engine"] == "podman" and network["name"] == "podman") or network["options"].get("com.docker.network.bridge.default_bridge") == "true"


def _take_along(story: Story, host: str, *, silent: bool) -> None:
    """What comes and goes with dockerd. Its containers are told one by one only when it can be asked about them, before and now."""
    for thing in [*story.added.values(), *story.gone.values()]:
        if thing["host"] != host:
            continue
        asked_about = thing["kind"] in ("container", "network") and thing["engine"] == "docker"
        if (asked_about and silent) or thing.get("owner") == "docker" or (thing["kind"] == "listener" and thing["program"] in ("docker-proxy", "dockerd")):
            story.let_pass(thing)
            story.silent.add(thing["id"])
        elif thing["kind"] == "namespace" and (resident := story.resident(thing)) and resident["engine"] == "docker":
            inside = _inside(story, thing["id"])
            story.let_pass(thing, *inside)
            story.silent.update(each["id"] for each in inside)


def _inside(story: Story, space: str) -> list[Thing]:
    """What comes and goes with a namespace: its interfaces, their other ends, routes, rules, listeners."""
    found = [thing for thing in [*story.added.values(), *story.gone.values()] if thing.get("space") == space and thing["kind"] != "container"]
    ends = [end for thing in found if thing["kind"] == "interface" and (end := story.thing(thing["peer"]))]
    return [*found, *(end for end in ends if end["id"] in story.added or end["id"] in story.gone)]


# Networks


def _networks(story: Story) -> None:
    _podman_seen(story)
    for network in story.comes("network"):
        _network(story, network)
    for network in story.goes("network"):
        rail = story.old.get(network["bridge"] or "")
        things = [network, *([rail] if rail and rail["id"] in story.gone else [])]
        story.say("-", _kind(network), NETWORK_GONE, things, [(network["host"], f"{network['engine']} network ls")], name=network["name"])


def _podman_seen(story: Story) -> None:
    """Podman has no daemon, and is asked only once it runs something: its networks then come into sight, and its default one is always there."""
    asked = {thing["host"] for thing in story.old.values() if thing.get("engine") == "podman"}
    for network in [*story.comes("network", engine="podman"), *story.goes("network", engine="podman")]:
        if _is_default(network) or network["host"] not in asked:
            story.let_pass(network)
            story.silent.add(network["id"])


def _network(story: Story, network: Thing) -> None:
    rail, stem = story.thing(network["bridge"]), story.thing(network["parent"])
    subnets = ", ".join(each["subnet"] for each in network["subnets"][:3]) or "-"
    said = (NETWORK_INTERNAL if network["internal"] else NETWORK) if rail else NETWORK_PARENT if stem else NETWORK_OTHER
    things = [network, *([rail] if rail and story.is_new(rail["id"]) else [])]
    show = [(network["host"], f"{network['engine']} network inspect {quote(network['name'])}")]
    if rail:
        show.append(story.asks(rail, "ip", "address", "show"))
    story.say(
        "+", _kind(network), said, things, show, name=network["name"], driver=network["driver"], subnets=subnets,
        bridge=rail["name"] if rail else "", parent=stem["name"] if stem else "",
    )  # fmt: skip


def _kind(network: Thing) -> str:
    return "macvlan" if network["driver"] in ("macvlan", "ipvlan") else "bridge"


# Containers


def _containers(story: Story) -> None:
    for container in story.comes("container"):
        _made(story, container)
    for container, facts in list(story.alters("container", "state", "space", "name", "networks")):
        _altered(story, container, facts)
    for container in story.goes("container"):
        story.say("-", "container", REMOVED, [container], [(container["host"], f"{container['engine']} ps -a")], name=container["name"])
    for space in [*story.comes("namespace"), *story.goes("namespace")]:
        if space["containers"]:
            story.let_pass(space)


def _made(story: Story, container: Thing) -> None:
    values: dict = {"name": container["name"], "image": container["image"], "state": container["state"], "code": container["exit_code"]}
    mode = container["mode"]
    if container["state"] == "exited":
        said = ENDED_AT_ONCE
    elif container["state"] != "running":
        said = MADE_OTHERWISE if container["space"] else MADE
    elif mode == "host":
        said = RUNS_HOST
    elif mode == "none":
        said = RUNS_NONE
    elif mode.startswith("container:"):
        said = RUNS_SHARED
        other = story.thing(mode.removeprefix("container:"))
        values["other"] = other["name"] if other else mode.rpartition("/")[2]
    elif joined := [_joined(story, container, network, told) for network, told in container["networks"].items() if not _is_default(story.new[network])]:
        said = RUNS_ON
        values["networks"] = joined
    else:
        said = RUNS
    show = [(container["host"], f"{container['engine']} ps -a" if container["state"] != "running" else f"{container['engine']} ps")]
    show.append((container["host"], f"{container['engine']} inspect {quote(container['name'])}"))
    story.say("+", "container", said, [container], show, **values)


def _joined(story: Story, container: Thing, network: str, told: dict) -> Sentence:
    """With the other names by which it is found there; the one that is made of its ID interests nobody."""
    name = story.new[network]["name"]
    names = [each for each in told["names"] if each != container["name"] and not container["id"].endswith(f"/{each}")][:8]
    return {"id": _("`%(network)s` also as %(names)s"), "with": {"network": name, "names": names}} if names else {"id": "%(network)s", "with": {"network": [name]}}


def _altered(story: Story, container: Thing, facts: dict[str, list]) -> None:
    engine, name = container["engine"], quote(container["name"])
    if "name" in facts:
        story.say("~", "container", CALLED, [container], [(container["host"], f"{engine} ps -a")], old=facts["name"][0], name=container["name"])
    if "state" in facts and facts["state"][1] != "removing":
        old, new = facts["state"]
        values = {"name": container["name"], "old": old, "new": new, "code": container["exit_code"]}
        ended = new == "exited" and container["exit_code"] is not None
        story.say("~", "container", EXITED if ended else STATE, [container], [(container["host"], f"{engine} ps -a"), (container["host"], f"{engine} inspect -f '{{{{json .State}}}}' {name}")], **values)
    elif "state" not in facts and "space" in facts and all(facts["space"]) and container["state"] == "running" and not container["mode"].startswith("container:"):
        story.say("~", "container", AGAIN, [container], [(container["host"], f"{engine} ps")], name=container["name"])
    if "networks" in facts:
        old, new = facts["networks"]
        show = [(container["host"], f"{engine} inspect -f '{{{{json .NetworkSettings.Networks}}}}' {name}")]
        names = {story.thing(network)["name"] for network in old}  # type: ignore[index]
        for network in sorted((network for network in new if network not in old and story.new[network]["name"] not in names), key=lambda id: story.new[id]["name"]):
            story.say("+", "container", JOINED, [container, story.new[network]], show, name=container["name"], network=_joined(story, container, network, new[network]))
        for network in [network for network in old if network not in new and network not in story.gone]:
            story.say("-", "container", LEFT, [container, story.old[network]], show, name=container["name"], network=story.old[network]["name"])
