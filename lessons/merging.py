"""What becomes of a guest's work when they sign in to an account: it goes along, and where both have done the same, the later or the more counts.

Every table with a key to Student is found by itself; how two rows about the same thing become one is said in RULES. What netcontrol
keeps (labs, their history, the place in line) is handed over by netcontrol. Must not know: HTTP, sessions, words.
"""
from collections.abc import Callable, Iterator
from operator import add
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from lessons.models import CheckProgress, Student
from netcontrol import pool
from netcontrol.models import Sandbox

PASSED = CheckProgress.State.PASSED
Rule = Callable[[Any, Any], Any]  # (the account's value, the guest's), neither of them None
Later = Callable[[Any, Any], bool]  # (the account's row, the guest's): whether the guest's is the one that counts


# Per table: which of two rows counts, and the fields that do not simply follow it. What only one of them has is always kept.
RULES: dict[str, tuple[Later, dict[str, Rule]]] = {
    "Progress": (lambda kept, other: other.updated_at > kept.updated_at, {}),
    "StepProgress": (lambda kept, other: bool(other.done_at and not kept.done_at), {"opened_at": min, "done_at": min, "solutions": add, "solution_at": min}),
    "CheckProgress": (lambda kept, other: other.state == PASSED != kept.state, {"passed_at": min, "failures": add, "hints_shown": max}),
    "QuizAnswer": (lambda kept, other: other.at < kept.at, {}),  # the first answer stays
}


class NoGuest(Exception):
    """Only a guest's work goes along into an account; this one is, or has become, an account."""


def tables() -> Iterator[type[models.Model]]:
    """The tables of this app that hold something of a student."""
    for relation in Student._meta.related_objects:
        if relation.related_model._meta.app_label == Student._meta.app_label and relation.field.name == "student":
            yield relation.related_model


def has_work(student: Student) -> bool:
    """Whether there is anything that would be lost without this row. One query: every page asks it for a guest."""
    kept = Q(Exists(Sandbox.objects.filter(owner=OuterRef("pk"))))
    for table in tables():
        kept |= Q(Exists(table._default_manager.filter(student=OuterRef("pk"))))
    return Student.objects.filter(kept, pk=student.pk).exists()


def merge(guest: Student, account: Student) -> Sandbox | None:
    """Give all that the guest has to the account, and delete the guest. Returns the lab that had to end, if both had one."""
    with transaction.atomic():
        guest, account = Student.objects.select_for_update().get(pk=guest.pk), Student.objects.select_for_update().get(pk=account.pk)
        if not guest.is_guest or guest.pk == account.pk:
            raise NoGuest
        for table in tables():
            _merge_rows(table, guest, account)
        if Sandbox.of(guest) and not Sandbox.of(account):  # it was built with the guest's values
            Student.objects.filter(pk=account.pk).update(seed=guest.variables_key)
        ended = pool.hand_over(guest, account)
        guest.delete()
    return ended


def _merge_rows(table: type[models.Model], guest: Student, account: Student) -> None:
    rows, key = table._default_manager, _key(table)
    theirs = {tuple(getattr(row, name) for name in key): row for row in rows.filter(student=account)} if key else {}
    for row in rows.filter(student=guest):
        same = theirs.get(tuple(getattr(row, name) for name in key)) if key else None
        if same is None:
            rows.filter(pk=row.pk).update(student=account)
        else:
            _combine(same, row)
            row.delete()


def _key(table: type[models.Model]) -> list[str]:
    """The fields that, with the student, name one row; empty when a student may have any number of the same."""
    for constraint in table._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and "student" in constraint.fields and not constraint.condition:
            return [name for name in constraint.fields if name != "student"]
    return []


def _combine(kept: models.Model, other: models.Model) -> None:
    later, rules = RULES[type(kept).__name__]
    others = later(kept, other)
    for field in kept._meta.concrete_fields:
        if field.primary_key or field.name == "student":
            continue
        mine, theirs = getattr(kept, field.attname), getattr(other, field.attname)
        if theirs is None:
            continue
        if mine is None:
            setattr(kept, field.attname, theirs)
        elif rule := rules.get(field.name):
            setattr(kept, field.attname, rule(mine, theirs))
        elif others:
            setattr(kept, field.attname, theirs)
    kept.save()
