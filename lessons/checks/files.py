"""file: what a file on the host holds, and who may read it."""
import os
from errno import errorcode
from typing import Annotated

from django.utils.translation import gettext as _
from pydantic import BeforeValidator, Field, model_validator

from lessons.checks.ask import ask, odd, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Mode, Params, Path, Text, wrong
from lessons.checks.verdict import Failed, NotKnown, listed, names, say

Texts = Annotated[list[Text], BeforeValidator(lambda v: [v] if isinstance(v, str) else list(v) if isinstance(v, list) else v), Field(max_length=20)]


class FileParams(Params):
    path: Path
    exists: bool = True
    contains: Texts = []
    lacks: Texts = []
    mode: Mode | None = None

    @model_validator(mode="after")
    def _of_one_that_is_there(self):
        if not self.exists and self.model_fields_set & {"contains", "lacks", "mode"}:
            raise wrong("says “exists: false”, and what the file has to hold.")
        return self


def title(p: FileParams) -> str:
    if not p.exists:
        return say(_("There is no file `%(path)s`"), path=p.path)
    if not (p.contains or p.lacks or p.mode):
        return say(_("There is a file `%(path)s`"), path=p.path)
    details = []
    if p.contains:
        details.append(say(_("holds %(texts)s"), texts=names(p.contains)))
    if p.lacks:
        details.append(say(_("does not hold %(texts)s"), texts=names(p.lacks)))
    if p.mode:
        details.append(say(_("has the mode `%(mode)s`"), mode=p.mode))
    return say(_("`%(path)s` %(details)s"), path=p.path, details=listed(details))


async def look(p: FileParams, host: str, run: Run) -> None:
    answer = await ask(run, host, "file", path=p.path, texts=[*p.contains, *p.lacks])
    kind = part(answer, "kind", kind=str, host=host)
    if kind == "closed":
        number = part(answer, "errno", kind=int, host=host)
        if number not in errorcode:
            raise NotKnown(odd(host))
        raise NotKnown(say(_("`%(path)s` cannot be read: %(why)s."), path=p.path, why=os.strerror(number)))
    if kind == "none":
        if p.exists:
            raise Failed(say(_("There is no file `%(path)s`."), path=p.path))
        return
    if not p.exists:
        raise Failed(say(_("There is still `%(path)s`."), path=p.path))
    if p.contains or p.lacks:
        if kind != "file":
            sentence = _("`%(path)s` is a folder, not a file.") if kind == "folder" else _("`%(path)s` is no regular file.")
            raise Failed(say(sentence, path=p.path))
        _text(p, part(answer, "holds", kind=list, host=host), host)
    mode = part(answer, "mode", kind=str, host=host)
    if p.mode and mode.zfill(4) != p.mode.zfill(4):
        raise Failed(say(_("The mode of `%(path)s` is `%(is_so)s`, not `%(wanted)s`."), path=p.path, is_so=mode, wanted=p.mode))


def _text(p: FileParams, holds: list, host: str) -> None:
    wanted = [*[(text, True) for text in p.contains], *[(text, False) for text in p.lacks]]
    if len(holds) != len(wanted):
        raise NotKnown(odd(host))
    for (text, has_to), does in zip(wanted, holds, strict=True):
        if bool(does) != has_to:
            sentence = _("`%(path)s` does not hold `%(text)s`.") if has_to else _("`%(path)s` still holds `%(text)s`.")
            raise Failed(say(sentence, path=p.path, text=text))


FILE = CheckType("file", FileParams, title, look)
