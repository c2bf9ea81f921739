"""The kinds of value that a typed check takes. Each may hold `${VARS}` instead, which are put in per student: then it is checked again.

Must not know: any check, hosts.
"""
import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

_VARIABLE = re.compile(r"\$\{\w+\}")


def held(value: object) -> bool:
    """Whether a variable stands in it: nobody knows what it is until it is put in."""
    return isinstance(value, str) and _VARIABLE.search(value) is not None


def wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("check", "{sentence}", {"sentence": sentence.removesuffix(".")})


def same(one: str, other: str, kind: Callable[[str], Any] = ipaddress.ip_address) -> bool:
    """Whether both are the same address (or network), however they are written."""
    try:
        return kind(one) == kind(other)
    except ValueError:
        return False


def _tested(test: Callable[[str], object], what: str) -> AfterValidator:
    def validate(value: str) -> str:
        if not held(value):
            try:
                good = test(value)
            except ValueError:
                good = False
            if good is False or good is None:
                raise wrong(f"“{value}” is no {what}.")
        return value

    return AfterValidator(validate)


def _number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _value(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else _number(value)


def _network(value: str) -> object:
    return "/" in value and ipaddress.ip_network(value)


def _goal(value: str) -> bool:
    return target(value) is not None


def published(value: str) -> tuple[str, str, str] | None:
    """What -p takes, as (address, port outside, port inside); "" for any: ("", "9080", "8080"). A port inside may end with /udp."""
    found = re.fullmatch(r"(?:(?:\[([0-9a-f:]+)\]|([0-9]+(?:\.[0-9]+){3})):)?(?:([0-9]{1,5}):)?([0-9]{1,5}(?:/(?:tcp|udp|sctp))?)", value)
    if not found:
        return None
    six, four, outside, inside = found.groups()
    return six or four or "", outside or "", inside.removesuffix("/tcp")


def target(value: str) -> tuple[Literal["tcp", "http", "ping"], str, int, str] | None:
    """What net.reach is to reach: (how, host, port, path). None when it is nothing of the kind."""
    found = re.fullmatch(r"(?:(http)://)?(?:\[([0-9a-fA-F:.]+)\]|([^\s/:\[\]]+))(?::([0-9]{1,5}))?(/\S*)?", value)
    if found:
        http, literal, name, port, path = found.groups()
        if int(port or 1) not in range(1, 65536) or (path and not http):
            return None
        return ("http" if http else "tcp" if port else "ping"), literal or name, int(port or 80), path or "/"
    try:
        return "ping", str(ipaddress.ip_address(value)), 0, ""
    except ValueError:
        return None


Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\s`/]+$")]
Image = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S+$")]
Number = BeforeValidator(_number)
Port = Annotated[str, Number, _tested(lambda v: v.isascii() and v.isdigit() and 0 < int(v) < 65536, "port: a number from 1 to 65535")]
Address = Annotated[str, _tested(ipaddress.ip_address, "address: 10.9.0.2 is one")]
AddressOfAnyLength = Annotated[str, _tested(ipaddress.ip_interface, "address: 10.9.0.2/24 is one, and 10.9.0.2")]
Network = Annotated[str, _tested(_network, "network: 10.9.0.0/24 is one")]
Destination = Annotated[str, _tested(lambda v: v == "default" or _network(v), "destination: “default” is one, and 10.9.0.0/24")]
Goal = Annotated[str, _tested(_goal, "thing to reach: web:80, http://web:8080/ and 172.17.0.2 are some")]
Published = Annotated[str, Number, _tested(published, "published port: 9080:8080 is one")]
AddressAndPort = Annotated[str, _tested(lambda v: re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+):[0-9]{1,5}", v), "address with a port: 172.17.0.2:8080 is one")]
Path = Annotated[str, _tested(lambda v: v.startswith("/") and "\0" not in v, "path: it begins with /"), StringConstraints(max_length=1000)]
Thing = Annotated[str, StringConstraints(max_length=130, pattern=r"^[^\s`/]+(/[^\s`/]+)?$")]  # a name as the diagram knows it, or HOST/NAME
How = Annotated[str, _tested(lambda v: re.fullmatch(r"ping|name|tcp:[0-9]{1,5}", v) and int(v.partition(":")[2] or 1) in range(1, 65536), "way to reach: ping, name and tcp:80 are some")]
Mode = Annotated[str, _tested(lambda v: re.fullmatch(r"0?[0-7]{3}|[0-7]{4}", v), "mode: \"0600\" is one")]
Value = Annotated[str, BeforeValidator(_value)]


class Params(BaseModel):
    """What stands behind the name of a typed check. An unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=lambda name: name.rstrip("_"))  # `in` and `from` are Python's own words


class Placed(Params):
    """Where it is looked at: the host itself, inside one of its containers, or in one of its named network namespaces."""

    in_: Name | None = None
    netns: Name | None = None

    @model_validator(mode="after")
    def _one_place(self):
        if self.in_ and self.netns:
            raise wrong("has “in” and “netns”: one of them says where to look.")
        return self


class From(Params):
    """Who tries: the check's host, another host or a container (`from`), or a named network namespace (`netns`)."""

    from_: Name | None = None
    netns: Name | None = None

    @model_validator(mode="after")
    def _one_place(self):
        if self.from_ and self.netns:
            raise wrong("has “from” and “netns”: one of them says who tries.")
        return self
