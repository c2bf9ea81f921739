"""Which keys the files of a lesson have, and what each may hold. An unknown key is refused.

Must not know: files, Markdown, Django. What takes a look at two files at once is in loader.py.
"""
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Kind = Literal["host", "bridge", "veth", "container", "namespace", "macvlan", "wire"]  # the diagram's vocabulary
Level = Literal["First steps", "Some practice", "Demanding"]
KINDS: tuple[str, ...] = get_args(Kind)

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]*$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,14}$")]  # four of them fit a layout, and "<host>-2" a shell
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]*(:[A-Za-z0-9._-]+)?$")]
StepFile = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[a-z0-9-]+\.md$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModuleKeys(Strict):
    """module.yaml"""

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


class StepKeys(Strict):
    """The front matter of a step"""

    title: Line


def problems(model: type[Strict], error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """What pydantic found, as (where in the document, sentence for a person who writes lessons)."""
    return [(tuple(e["loc"]), _sentence(model, e)) for e in error.errors(include_url=False)]


_PATTERNS = {
    "hosts": "is no name of a host: small letters, digits and “-”, at most 15, a letter first",
    "images": "is no name of an image, such as tomcat or nginx:1.26",
    "steps": "is no name of a step file: two digits, “-”, small letters, digits or “-”, then “.md”",
}


def _sentence(model: type[Strict], e) -> str:
    kind, ctx, given = e["type"], e.get("ctx", {}), e["input"]
    if kind == "missing":
        return "is missing."
    if kind == "extra_forbidden":
        return f"is not known here. Known are: {', '.join(model.model_fields)}."
    if kind == "literal_error":
        return f"“{given}” is not one of {ctx['expected']}."
    if kind == "string_pattern_mismatch" and e["loc"][0] in _PATTERNS:
        return f"“{given}” {_PATTERNS[e['loc'][0]]}."
    if kind == "string_pattern_mismatch":
        return "has to be one line."
    if kind == "string_too_short":
        return "is empty."
    return f"{e['msg'].removeprefix('Input ')}."
