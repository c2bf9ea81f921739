"""From a request to the lesson, the step and the student it is about. Must not know: sandboxes, JSON."""
from django.http import HttpRequest
from django.utils.translation import gettext as _

from lessons.lesson import Lesson
from lessons.loader import catalogue
from lessons.models import Student
from lessons.standing import Place, language
from netcontrol.errors import LabError
from netcontrol.templatetags.said import joined


def student_of(request: HttpRequest) -> Student | None:
    return request.user if isinstance(request.user, Student) else None


def key_of(student: Student | None) -> str:
    """What the values of a lesson are chosen by; a visitor has nobody's in particular."""
    return student.variables_key if student else ""


def find_lesson(request: HttpRequest, slug: str) -> Lesson:
    """The lesson as this student reads it. Raises LabError."""
    student, lessons = student_of(request), catalogue()
    if found := lessons.lesson(slug, key_of(student), language()):
        return found
    taught = (source.filled("", language()) for module in lessons.modules for source in module.sources)
    titles = joined(_("“%(title)s” (%(url)s)") % {"title": lesson.title, "url": f"/lessons/{lesson.slug}/"} for lesson in taught)
    raise LabError("no_lesson", _("There is no lesson “%(slug)s” here.") % {"slug": slug}, _("The lessons are: %(titles)s.") % {"titles": titles}, status=404)


def find(request: HttpRequest, slug: str, number: int) -> Place:
    """Raises LabError."""
    lesson = find_lesson(request, slug)
    if at := lesson.step(number):
        return Place(student_of(request), lesson, at)
    message = _("The lesson “%(title)s” has no step %(number)d.") % {"title": lesson.title, "number": number}
    begin = _("It has the steps 1 to %(last)d: begin at %(url)s.") % {"last": len(lesson.steps), "url": f"/lessons/{slug}/1/"}
    raise LabError("no_step", message, begin, status=404)
