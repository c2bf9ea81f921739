"""The typed checks of a step: each looks at the real host and says in one sentence what is not as it should be.

`run` and `ask` have no type: they are the lesson's own, see lessons/grading.py. Must not know: lessons, students.
"""
from lessons.checks.containers import CONTAINER
from lessons.checks.files import FILE
from lessons.checks.kind import CheckType, Run
from lessons.checks.links import ADDRESS, LINK, ROUTE
from lessons.checks.listen import LISTEN
from lessons.checks.nat import NAT
from lessons.checks.networks import ATTACHED, NETWORK
from lessons.checks.params import Params
from lessons.checks.predicted import PREDICTED
from lessons.checks.reach import REACH, RESOLVE
from lessons.checks.services import SERVICE
from lessons.checks.verdict import Verdict

TYPES: dict[str, CheckType] = {
    check.name: check for check in (CONTAINER, NETWORK, ATTACHED, LINK, ADDRESS, ROUTE, REACH, RESOLVE, NAT, LISTEN, FILE, SERVICE, PREDICTED)
}

ANSWERED = frozenset(("ask", *(name for name, of in TYPES.items() if of.answer)))  # by the student

__all__ = ["ANSWERED", "TYPES", "CheckType", "Params", "Run", "Verdict"]
