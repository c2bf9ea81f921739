"""Which keys the files of a lesson have, and what each may hold. An unknown key is refused.

Must not know: files, Markdown, students. What takes a look at two keys at once is in rules.py.
"""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lessons.checks import ANSWERED, TYPES
from lessons.checks.params import How, Port, Thing

Kind = Literal["host", "bridge", "veth", "container", "namespace", "macvlan", "wire"]  # the diagram's vocabulary
Level = Literal["First steps", "Some practice", "Demanding"]
KINDS: tuple[str, ...] = get_args(Kind)
SCRIPT_LENGTH = 8000

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]*$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,14}$")]  # four of them fit a layout, and "<host>-2" a shell
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]*(:[A-Za-z0-9._-]+)?$")]
StepFile = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[a-z0-9-]+\.md$", max_length=43)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
CheckName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
VarName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,19}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Titles(Strict):
    """module.yaml; and in another language, i18n/LANGUAGE/module.yaml and lesson.yaml"""

    title: Line
    summary: Line


class LessonKeys(Strict):
    """lesson.yaml"""

    title: Line
    summary: Line
    minutes: int = Field(ge=1, le=240)
    level: Level
    hosts: list[HostName] = Field(default=["lab"], min_length=1, max_length=4)
    images: list[Image] = []
    steps: list[StepFile] = Field(min_length=1, max_length=30)
    names: dict[Name, Kind] = {}


# The front matter of a step


@dataclass(frozen=True)
class Script:
    """Lines for bash on one host; `host` is empty for the lesson's first one."""

    host: str
    text: str

    @property
    def strict(self) -> str:
        """The same for a bash that stops at the first line that fails."""
        return f"set -e\n{self.text}"


def _scripts(given: Any) -> tuple[Script, ...]:
    if isinstance(given, tuple):
        return given
    parts = given if isinstance(given, list) else [given]
    scripts: list[Script] = []
    for part in parts:
        pairs = part.items() if isinstance(part, Mapping) else [("", part)]
        for host, text in pairs:
            if not isinstance(host, str) or not isinstance(text, str) or not text.strip():
                raise PydanticCustomError("script", "has to be shell lines, or {HOST: shell lines}, or a list of these")
            if len(text) > SCRIPT_LENGTH:
                raise PydanticCustomError("script", "is longer than {most} characters", {"most": SCRIPT_LENGTH})
            scripts.append(Script(host, text.strip()))
    if not scripts:
        raise PydanticCustomError("script", "is empty")
    return tuple(scripts)


def _list(given: Any) -> Any:
    """A list, where one alone may be written without its brackets."""
    return [given] if isinstance(given, str) else given


_LINES = {"type": "string", "minLength": 1}
_ON_HOSTS = {"type": "object", "additionalProperties": _LINES, "minProperties": 1}
SCRIPT_SCHEMA = {"anyOf": [_LINES, _ON_HOSTS, {"type": "array", "minItems": 1, "items": {"anyOf": [_LINES, _ON_HOSTS]}}]}
Scripts = Annotated[tuple[Script, ...], BeforeValidator(_scripts), WithJsonSchema(SCRIPT_SCHEMA)]
Shell = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=SCRIPT_LENGTH)]


class VarKeys(Strict):
    """One of `pick`, or a whole number of `number: [from, to]`."""

    pick: list[Annotated[str, StringConstraints(pattern=r"^[^\n$`\"']+$", max_length=60)]] | None = Field(None, min_length=1, max_length=50)
    number: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> "VarKeys":
        if (self.pick is None) == (self.number is None):
            raise PydanticCustomError("variable", "is either {pick: [some, values]} or {number: [from, to]}")
        if self.number and self.number[0] > self.number[1]:
            raise PydanticCustomError("variable", "ends before it begins")
        return self


class AnswerScript(Strict):
    run: Shell


class CheckBase(Strict):
    """What every check may have; the one key that says what it checks is added below."""

    title: Line | None = None
    hint: Annotated[list[Line], BeforeValidator(_list), Field(min_length=1, max_length=3)] = Field(default=[])
    needs: Annotated[list[CheckName], BeforeValidator(_list)] = []
    host: HostName | None = None
    guard: bool = False
    why: Line | None = None
    run: Shell | None = None
    ask: Line | None = None
    choices: list[Line] | None = Field(None, min_length=2, max_length=6)
    answer: Annotated[list[Line], BeforeValidator(_list)] | AnswerScript | None = None

    @property
    def kind(self) -> str:
        """Which type it is: "run", "ask" or one of lessons.checks.TYPES."""
        return next(name for name in KIND_KEYS if getattr(self, field_of(name)) is not None)

    @property
    def answered(self) -> bool:
        """By the student: whether it passes is no matter of what they made."""
        return self.kind in ANSWERED

    @model_validator(mode="after")
    def one_kind(self) -> "CheckBase":
        kinds = [name for name in KIND_KEYS if getattr(self, field_of(name)) is not None]
        if len(kinds) != 1:
            said = f"is {' and '.join(kinds)} at once" if kinds else "says nothing to check"
            raise PydanticCustomError("check", "{said}: it needs one of {known}", {"said": said, "known": ", ".join(KIND_KEYS)})
        needed = {"run": ("title", "why"), "ask": ("answer", "why")}.get(kinds[0], ())
        for key in needed:
            if getattr(self, key) in (None, []):
                raise PydanticCustomError("check", "a “{kind}” check has to say its {key}", {"kind": kinds[0], "key": key})
        refused = {"run": ("choices", "answer"), "ask": ("title", "guard")}.get(kinds[0], ("choices", "answer", "why", *(["guard"] if self.answered else [])))
        for key in refused:
            if getattr(self, key):
                raise PydanticCustomError("check", "“{key}” means nothing in a “{kind}” check", {"kind": kinds[0], "key": key})
        return self


KIND_KEYS = ("run", "ask", *TYPES)


def field_of(name: str) -> str:
    return name.replace(".", "_")


_TYPED: dict[str, Any] = {field_of(name): (of.Params | None, Field(None, alias=name)) for name, of in TYPES.items()}
if TYPE_CHECKING:
    CheckKeys = CheckBase
else:
    CheckKeys = create_model("CheckKeys", __base__=CheckBase, **_TYPED)


class FollowKeys(Strict):
    """A packet to follow; `to` may be an address, too."""

    from_: Thing = Field(alias="from")
    to: Thing
    protocol: Literal["icmp", "tcp", "udp"] = "icmp"
    port: Port | None = None

    @model_validator(mode="after")
    def port_where_there_are_ports(self) -> "FollowKeys":
        if (self.port is None) != (self.protocol == "icmp"):
            raise PydanticCustomError("show", "“icmp” has no ports" if self.port else "“{protocol}” needs a port", {"protocol": self.protocol})
        return self


class ReachKeys(Strict):
    who: list[Thing] = Field(min_length=2, max_length=8)
    how: How = "ping"


View = Literal["picture", "text", "changes", "follow", "reach"]


class ShowKeys(Strict):
    """What the network pane shows when a student comes to the step: `things` lit up, and one of its views."""

    things: Annotated[list[Thing], BeforeValidator(_list), Field(max_length=12)] = []
    view: View | None = None
    follow: FollowKeys | None = None
    reach: ReachKeys | None = None

    @model_validator(mode="after")
    def shows_one_thing(self) -> "ShowKeys":
        if not (self.things or self.view or self.follow or self.reach):
            raise PydanticCustomError("show", "shows nothing: it needs “things”, “view”, “follow” or “reach”")
        if self.follow and self.reach:
            raise PydanticCustomError("show", "has “follow” and “reach”: the pane shows one of them")
        if self.view and self.view != self.opens:
            raise PydanticCustomError("show", "“{key}” is shown in the view “{key}”", {"key": self.opens})
        return self

    @property
    def opens(self) -> View:
        """The view that is shown: what is asked there says which, or else `view`."""
        return "follow" if self.follow else "reach" if self.reach else self.view or "picture"

    @property
    def names(self) -> list[tuple[tuple[str | int, ...], str]]:
        """(where in the front matter, name) of each thing."""
        found: list[tuple[tuple[str | int, ...], str]] = [(("things", n), name) for n, name in enumerate(self.things)]
        if self.follow:
            found += [(("follow", "from"), self.follow.from_), (("follow", "to"), self.follow.to)]
        if self.reach:
            found += [(("reach", "who", n), name) for n, name in enumerate(self.reach.who)]
        return found

    def for_the_page(self) -> dict[str, Any]:
        return {"things": self.things, "view": self.opens} | self.model_dump(by_alias=True, include={"follow", "reach"}, exclude_none=True)


class WrongKeys(Strict):
    """What a student might do instead, and the checks that must notice."""

    run: Scripts | None = None
    undo: Scripts | None = None
    answers: dict[CheckName, Line] = {}
    fails: Annotated[list[CheckName], BeforeValidator(_list), Field(min_length=1)]

    @model_validator(mode="after")
    def does_something(self) -> "WrongKeys":
        if self.run is None and not self.answers:
            raise PydanticCustomError("wrong", "does nothing: it needs “run” or “answers”")
        if self.undo is not None and self.run is None:
            raise PydanticCustomError("wrong", "there is nothing to undo without “run”")
        return self


class StepKeys(Strict):
    """The front matter of a step"""

    title: Line
    vars: dict[VarName, VarKeys] = {}
    setup: Scripts = ()
    hold: bool = False
    show: ShowKeys | None = None
    checks: dict[CheckName, CheckKeys] = {}
    solve: Scripts = ()
    wrong: list[WrongKeys] = []


# The same in another language: prose and nothing else


class CheckProse(Strict):
    title: Line | None = None
    hint: Annotated[list[Line], BeforeValidator(_list)] = Field(default=[])
    why: Line | None = None
    ask: Line | None = None
    choices: list[Line] | None = None


class StepProse(Strict):
    """The front matter of i18n/LANGUAGE/NN-step.md"""

    title: Line
    checks: dict[CheckName, CheckProse] = {}


FILES: dict[str, type[Strict]] = {"module": Titles, "lesson": LessonKeys, "step": StepKeys, "step-in-another-language": StepProse}


# What pydantic found, for a person who writes lessons

_PATTERNS = {
    "hosts": "is no name of a host: small letters, digits and “-”, at most 15, a letter first",
    "images": "is no name of an image, such as tomcat or nginx:1.26",
    "steps": "is no name of a step file: two digits, “-”, small letters, digits or “-”, then “.md”",
    "checks": "is no name of a check: small letters, digits, “-” and “_”, at most 40, a letter first",
    "vars": "is no name of a variable: capital letters, digits and “_”, at most 20, a letter first; a value holds no quotes and no $",
}


def problems(model: type[BaseModel], error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """(where in the document, sentence) of each mistake."""
    return [(tuple(e["loc"]), _sentence(model, e)) for e in error.errors(include_url=False)]


def _sentence(model: type[BaseModel], e: Any) -> str:
    kind, ctx, given = e["type"], e.get("ctx", {}), e["input"]
    if kind == "missing":
        return "is missing."
    if kind == "extra_forbidden":
        return f"is not known here. Known are: {', '.join(_known(model, e['loc']))}."
    if kind == "literal_error":
        return f"“{given}” is not one of {ctx['expected']}."
    if kind == "string_pattern_mismatch" and e["loc"][0] in _PATTERNS:
        return f"“{given}” {_PATTERNS[e['loc'][0]]}."
    if kind == "string_pattern_mismatch":
        return "has to be one line." if "\n" in str(given) else f"“{given}” does not have the form {ctx['pattern']}."
    if kind == "string_too_short":
        return "is empty."
    return f"{e['msg'].removeprefix('Input ')}."


def _known(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The keys of the model in which this place lies."""
    for part in loc[:-1]:
        found = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if found is None:
            continue  # the name of a check, the place in a list, or pydantic's own word
        inner = _models_in(found.annotation)
        if inner:
            model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
