"""Who learns. Everything about sandboxes is netcontrol's; a student's progress is here."""
import uuid

from django.contrib.auth.models import AbstractUser


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
