"""Who learns, and how far they are. Everything about sandboxes is netcontrol's."""
import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Greatest
from django.utils import timezone


class Student(AbstractUser):
    """Anyone who uses the lab. A guest is a student without a password: the session cookie is the only key."""

    @classmethod
    def new_guest(cls) -> "Student":
        guest = cls(username=f"guest-{uuid.uuid4().hex}")
        guest.set_unusable_password()
        guest.save()
        return guest

    @property
    def is_guest(self) -> bool:
        return not self.has_usable_password()


class Progress(models.Model):
    """How far a student has read a lesson. It says nothing about what they did: only which pages they opened.

    `lesson` is a slug of the content folder, not a key: a lesson that is taken out leaves its rows behind, unused.
    """

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="progress")
    lesson = models.SlugField(max_length=40)
    step = models.PositiveSmallIntegerField(help_text="the step they were at last")
    furthest = models.PositiveSmallIntegerField(help_text="the last step that they opened; those before it count as read")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "lesson"], name="one_progress_a_lesson")]
        indexes = [models.Index(fields=["student", "-updated_at"])]

    def __str__(self) -> str:
        return f"{self.lesson}, step {self.step}"

    @classmethod
    def visit(cls, student: Student, lesson: str, step: int) -> "Progress":
        """The student opened this step just now."""
        rows, now = cls.objects.filter(student=student, lesson=lesson), timezone.now()
        if not rows.update(step=step, furthest=Greatest("furthest", step), updated_at=now):
            fresh = {"step": step, "furthest": step, "updated_at": now}
            return cls.objects.get_or_create(student=student, lesson=lesson, defaults=fresh)[0]
        return rows.get()
