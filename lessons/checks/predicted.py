"""reach.predicted: the student says who reaches whom, and it is really tried. Right when all of it agrees.

What was said is one row for each of `between`, a sign for each: `y` reaches it, `n` does not, `?` not said, and `-` for itself, as
`-yn y-n nn-`. A cell that is wrong is named, and why; of the others nothing is told. Must not know: pages, graphs.
"""
from collections.abc import Sequence
from typing import Annotated

from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from lessons.checks.kind import CheckType, Run
from lessons.checks.params import How, Params, Thing, wrong
from lessons.checks.verdict import Failed, NotKnown, Quoted, say
from netcontrol.inside import NoAnswer, NoHost
from netcontrol.network.reach.reasons import how_it_went
from netcontrol.network.reach.tries import Cell, End, matrix

MOST_SAID = 4  # cells of which it is said why
LEAD = 0.7  # seconds until all hosts begin to try: within the 5 s of a step there is one try


class PredictedParams(Params):
    between: Annotated[list[Thing], Field(min_length=2, max_length=8)]
    how: How = "ping"

    @model_validator(mode="after")
    def _each_once(self) -> "PredictedParams":
        if twice := next((name for n, name in enumerate(self.between) if name in self.between[:n]), None):
            raise wrong(f"“{twice}” is there twice.")
        return self


def predicted_title(p: PredictedParams) -> str:
    if p.how == "ping":
        return _("You can tell who reaches whom with a ping")
    if p.how == "name":
        return _("You can tell who knows whose name")
    return say(_("You can tell who reaches whom on TCP port %(port)s"), port=p.how.partition(":")[2])


def read(given: str, size: int) -> list[list[bool | None]] | None:
    """What was said of each cell; None where it is nothing of the kind, or not everything."""
    rows = given.split()
    if len(rows) != size or any(len(row) != size or not set(row) <= set("yn?-") for row in rows):
        return None
    return [[{"y": True, "n": False}.get(sign) for sign in row] for row in rows]


def open_cells(said: list[list[bool | None]]) -> int:
    return sum(cell is None for a, row in enumerate(said) for b, cell in enumerate(row) if a != b)


async def look_at_predicted(p: PredictedParams, host: str, run: Run, given: str) -> None:
    said = read(given, len(p.between))
    if said is None:
        raise Failed(_("Say of each whether it reaches each of the others."))
    if left := open_cells(said):
        raise Failed(say(_("Not said yet: %(number)s. Say yes or no of each."), number=left))
    found = await _found(p, host, run)
    otherwise = [(a, b) for a, row in enumerate(said) for b, cell in enumerate(row) if a != b and found[a][b].reached != cell]
    if otherwise:
        sentences = [_otherwise(p, a, b, found[a][b]) for a, b in otherwise[:MOST_SAID]]
        if len(otherwise) > MOST_SAID:
            sentences.append(say(_("And %(number)s more."), number=len(otherwise) - MOST_SAID))
        raise Failed(Quoted(" ".join(sentences)), cells=otherwise)


async def answer(p: PredictedParams, host: str, run: Run) -> str:
    """What is so, as a student would have to say it."""
    found = await _found(p, host, run)
    return " ".join("".join("-" if a == b else "y" if cell.reached else "n" for b, cell in enumerate(row)) for a, row in enumerate(found))


def in_words(p: PredictedParams, text: str) -> str:
    """Such an answer for a person: for each, whom it reaches."""
    said = read(text, len(p.between)) or []
    rows = [(p.between[a], [p.between[b] for b, cell in enumerate(row) if cell]) for a, row in enumerate(said)]
    return "; ".join(f"{who} → {', '.join(whom) or '–'}" for who, whom in rows)


def flipped(text: str) -> Sequence[str]:
    """Answers in which one cell is otherwise: the first, and the last."""
    places = [n for n, sign in enumerate(text) if sign in "yn"]
    return [text[:n] + ("n" if text[n] == "y" else "y") + text[n + 1 :] for n in (places[:1] + places[1:][-1:])]


def _otherwise(p: PredictedParams, a: int, b: int, cell: Cell) -> str:
    said = how_it_went(p.between[a], p.between[b], p.how, cell)
    return say(_(said["id"]), **said["with"])


async def _found(p: PredictedParams, host: str, run: Run) -> list[list[Cell]]:
    ends = [await _end(name, host, run) for name in p.between]
    found = await matrix(run, ends, p.how, (LEAD,))
    for a, row in enumerate(found):
        for b, cell in enumerate(row):
            if a != b and cell.reached is None:
                raise NotKnown(say(_("Whether `%(a)s` reaches `%(b)s` could not be tried. Probe again."), a=p.between[a], b=p.between[b]))
            if cell.code in ("no-container", "no-netns"):
                missing = a if all(other.code == cell.code for n, other in enumerate(row) if n != a) else b
                raise Failed(say(_("There is nothing here that is called `%(name)s`."), name=ends[missing].name))
    return found


async def _end(name: str, host: str, run: Run) -> End:
    """A host of the sandbox, or else a container or a namespace on the check's host; HOST/NAME says on which."""
    place, slash, rest = name.partition("/")
    if not slash:
        if name == host:
            return End(name, host)
        try:
            await run(name, "true")
            return End(name, name)
        except NoAnswer:
            return End(name, name)
        except NoHost:
            place, rest = host, name
    there = await run(place, f"test -e /run/netns/{rest}" if rest.replace("-", "").replace("_", "").isalnum() else "false")
    return End(name, place, netns=rest) if there.exit_code == 0 else End(name, place, container=rest)


PREDICTED = CheckType("reach.predicted", PredictedParams, predicted_title, look_at_predicted, answer)
