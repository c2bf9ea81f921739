"""docker.container: whether a container runs, and how it was started."""
from typing import Any, Literal
from urllib.parse import quote

from django.utils.translation import gettext as _
from pydantic import model_validator

from lessons.checks.ask import docker, objects, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Image, Name, Params, Published, published, wrong
from lessons.checks.verdict import Failed, names, say, with_details

_ABOUT_ONE = ("running", "image", "publishes", "network_mode", "privileged")


class ContainerParams(Params):
    """Without `running` and `exists` it has to run; `exists: true` alone asks for no more than that."""

    name: Name
    running: bool | None = None
    exists: bool | None = None
    image: Image | None = None
    publishes: Published | None = None
    network_mode: Image | None = None
    privileged: bool | None = None

    @model_validator(mode="after")
    def _of_one_that_is_there(self):
        if self.exists is False and any(getattr(self, key) is not None for key in _ABOUT_ONE):
            raise wrong("says “exists: false”, and what the container has to be like.")
        return self

    @property
    def wants(self) -> Literal["none", "any", "running", "stopped"]:
        if self.exists is False:
            return "none"
        if self.running is None:
            return "any" if self.exists else "running"
        return "running" if self.running else "stopped"


def title(p: ContainerParams) -> str:
    is_so = {
        "none": _("There is no container `%(name)s`"),
        "any": _("There is a container `%(name)s`"),
        "running": _("`%(name)s` runs"),
        "stopped": _("`%(name)s` is stopped"),
    }
    details = []
    if p.image:
        details.append(say(_("image `%(image)s`"), image=p.image))
    if p.publishes:
        details.append(say(_("port `%(port)s` published"), port=p.publishes))
    if p.network_mode:
        details.append(say(_("network `%(mode)s`"), mode=p.network_mode))
    if p.privileged is not None:
        details.append(_("privileged") if p.privileged else _("not privileged"))
    return with_details(say(is_so[p.wants], name=p.name), details)


async def look(p: ContainerParams, host: str, run: Run) -> None:
    shared = (p.network_mode or "").removeprefix("container:") if (p.network_mode or "").startswith("container:") else ""
    found, other = await docker(run, host, path(p.name), path(shared or p.name))
    if not is_named(found, p.name):
        if p.wants == "none":
            return
        raise Failed(say(_("There is no container `%(name)s`."), name=p.name))
    if p.wants == "none":
        raise Failed(say(_("There is still a container `%(name)s`."), name=p.name))
    _state(p, found, host)
    if p.image:
        await _image(p, p.image, found, host, run)
    if p.publishes:
        _published(p, p.publishes, found, host)
    if shared:
        _shares(p, shared, found, other if is_named(other, shared) else None, host)
    elif p.network_mode:
        is_so = _mode(found, host)
        if is_so != ("bridge" if p.network_mode == "default" else p.network_mode):
            raise Failed(say(_("The network mode of `%(name)s` is `%(is_so)s`, not `%(wanted)s`."), name=p.name, is_so=is_so, wanted=p.network_mode))
    if p.privileged is not None and part(found, "HostConfig", "Privileged", kind=bool, host=host) != p.privileged:
        sentence = _("`%(name)s` is not privileged.") if p.privileged else _("`%(name)s` is privileged.")
        raise Failed(say(sentence, name=p.name))


def path(container: str) -> str:
    return f"/containers/{quote(container, safe='')}/json"


def is_named(found: Any, name: str) -> bool:
    """Whether this is the container of that name, and not one whose id begins so."""
    return isinstance(found, dict) and found.get("Name") == f"/{name}"


def stopped(name: str, found: Any, host: str) -> str:
    """Why this container does not run, as a sentence; "" when it runs."""
    state = part(found, "State", "Status", kind=str, host=host)
    code = part(found, "State", "ExitCode", kind=int, host=host)
    if state == "running":
        return ""
    if state == "created":
        return say(_("`%(name)s` exists but was never started."), name=name)
    if state == "paused":
        return say(_("`%(name)s` is paused."), name=name)
    if state == "restarting":
        return say(_("`%(name)s` ends by itself and is started again and again (exit code %(code)s)."), name=name, code=code)
    if state in ("exited", "dead"):
        return say(_("`%(name)s` exists but is stopped (exit code %(code)s)."), name=name, code=code)
    return say(_("`%(name)s` does not run: its state is `%(state)s`."), name=name, state=state)


def _state(p: ContainerParams, found: Any, host: str) -> None:
    why = stopped(p.name, found, host)
    if p.wants == "running" and why:
        raise Failed(why)
    if p.wants == "stopped" and part(found, "State", "Running", kind=bool, host=host):
        raise Failed(say(_("`%(name)s` still runs."), name=p.name))


async def _image(p: ContainerParams, wanted: str, found: Any, host: str, run: Run) -> None:
    """The name that it was run by counts, and so does any other name of the same image."""
    is_so = part(found, "Config", "Image", kind=str, host=host)
    if _plain(is_so) == _plain(wanted):
        return
    (image,) = await docker(run, host, f"/images/{quote(wanted, safe='/:')}/json")
    if image is None:
        raise Failed(say(_("There is no image `%(image)s`."), image=wanted))
    if part(image, "Id", kind=str, host=host) != part(found, "Image", kind=str, host=host):
        raise Failed(say(_("`%(name)s` runs the image `%(is_so)s`, not `%(wanted)s`."), name=p.name, is_so=is_so, wanted=wanted))


def _plain(image: str) -> str:
    return image.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")


def _published(p: ContainerParams, wanted: str, found: Any, host: str) -> None:
    """As -p takes it: "9080:8080", "127.0.0.1:9080:8080/udp", or "8080" for any port of the host."""
    address, port, inside = published(wanted) or ("", "", wanted)
    running = part(found, "State", "Running", kind=bool, host=host)
    ports = part(found, *(("NetworkSettings", "Ports") if running else ("HostConfig", "PortBindings")), kind=dict, host=host)
    there = []
    for key, bindings in ports.items():
        for binding in objects(part({"": bindings}, "", kind=list, host=host), host):
            ip, number = part(binding, "HostIp", kind=str, host=host), part(binding, "HostPort", kind=str, host=host)
            to = key.removesuffix("/tcp")
            if to == inside and (not port or number == port) and (not address or (ip or "0.0.0.0") == address):
                return
            there.append(f"{ip}:{number}:{to}" if address and ip else f"{number}:{to}")
    if not there:
        raise Failed(say(_("`%(name)s` publishes no port."), name=p.name))
    there = list(dict.fromkeys(there))  # IPv4 and IPv6 say the same
    raise Failed(say(_("`%(name)s` publishes %(ports)s, not `%(wanted)s`."), name=p.name, ports=names(there), wanted=wanted))


def _mode(found: Any, host: str) -> str:
    mode = part(found, "HostConfig", "NetworkMode", kind=str, host=host)
    return "bridge" if mode == "default" else mode


def _shares(p: ContainerParams, wanted: str, found: Any, other: Any, host: str) -> None:
    if other is None:
        raise Failed(say(_("There is no container `%(name)s`."), name=wanted))
    kind, colon, id = _mode(found, host).partition(":")
    if kind != "container" or not colon:
        raise Failed(say(_("`%(name)s` has a network of its own (`%(is_so)s`), not that of `%(wanted)s`."), name=p.name, is_so=kind, wanted=wanted))
    if id not in (part(other, "Id", kind=str, host=host), wanted):
        raise Failed(say(_("`%(name)s` shares the network of another container, not that of `%(wanted)s`."), name=p.name, wanted=wanted))


CONTAINER = CheckType("docker.container", ContainerParams, title, look)
