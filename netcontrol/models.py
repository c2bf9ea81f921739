"""Machines, sandboxes, hosts, commands: what exists, in which state, and the rules of changing it.

Must not know: lessons, HTTP, Docker. A row says what should be; engine/ makes it so; pool.py compares the two.
"""
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from netcontrol import plain
from netcontrol.errors import LabError

BATCH = 500  # rows deleted at once: SQLite's one writer is not held up for long


def delete_in_batches(rows: models.QuerySet) -> int:
    deleted = 0
    while batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += len(batch)
    return deleted


class Machine(models.Model):
    """A computer that runs an engine and a worker. Its row is made by the worker that starts there."""

    name = models.CharField(max_length=255, unique=True)
    capacity = models.PositiveIntegerField(help_text="hosts that fit, pooled ones included")
    wires = models.PositiveIntegerField(help_text="/28s in its address pool")
    seen_at = models.DateTimeField(default=timezone.now)


class Sandbox(models.Model):
    """One student's private lab.

    booting -> ready -> claimed -> ended: the way of a pooled sandbox. booting -> claimed is the same for a student who
    waits. booting -> failed when it did not come up. A row in `ended` or `failed` holds nothing on the machine, or
    `gone_at` is empty and the reaper is still to remove what it holds.
    """

    class State(models.TextChoices):
        BOOTING = "booting"
        READY = "ready"
        CLAIMED = "claimed"
        ENDED = "ended"
        FAILED = "failed"

    LIVE = (State.BOOTING, State.READY, State.CLAIMED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.ForeignKey(Machine, on_delete=models.CASCADE, related_name="sandboxes")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="sandboxes")
    state = models.CharField(max_length=8, choices=State, default=State.BOOTING)
    layout = models.CharField(max_length=64, default="lab", help_text="names of its hosts, joined by commas")
    wire = models.PositiveIntegerField(help_text="which /28 of the machine's address pool")
    begun = models.BooleanField(default=False, help_text="a worker boots it, or has")
    boot = models.JSONField(default=dict, help_text="seconds from the start to each part: {'lab': {'systemd': 0.43, …}}")
    why = models.CharField(max_length=500, blank=True, help_text="why it ended or failed, a sentence for the student")
    created_at = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(null=True, blank=True)
    active_at = models.DateTimeField(null=True, blank=True, help_text="when its student last did something, reading included")
    ends_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True, help_text="when the machine held nothing of it any more")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner"], condition=Q(state="claimed"), name="one_sandbox_a_student"),
            models.UniqueConstraint(fields=["machine", "wire"], condition=Q(gone_at=None), name="one_sandbox_a_wire"),
        ]
        indexes = [models.Index(fields=["state", "layout", "created_at"])]

    def __str__(self) -> str:
        return f"{self.pk.hex[:8]} ({self.state})"

    @property
    def host_names(self) -> list[str]:
        return self.layout.split(",")

    @classmethod
    def of(cls, owner) -> "Sandbox | None":
        """The sandbox that this student has now."""
        return cls.objects.filter(owner=owner, state=cls.State.CLAIMED).first()

    @classmethod
    def claim(cls, owner, layout: str = "lab") -> "Sandbox | None":
        """Give the oldest ready sandbox to this student: one atomic update. None when none is ready."""
        now = timezone.now()
        oldest = cls.objects.filter(state=cls.State.READY, layout=layout).order_by("created_at").values("pk")[:1]
        while True:
            pk = oldest.values_list("pk", flat=True).first()
            if pk is None:
                return None
            won = cls.objects.filter(pk=pk, state=cls.State.READY).update(
                state=cls.State.CLAIMED, owner=owner, claimed_at=now, active_at=now, ends_at=now + timedelta(minutes=settings.SANDBOX_MINUTES)
            )
            if won:
                Waiting.objects.filter(owner=owner).delete()
                return cls.objects.get(pk=pk)

    @classmethod
    def begin(cls, pk: uuid.UUID | str) -> "Sandbox | None":
        """The sandbox that is to be booted, for the first who asks: an order may come twice. None when there is nothing to boot (any more)."""
        won = cls.objects.filter(pk=pk, state=cls.State.BOOTING, begun=False).update(begun=True)
        return cls.objects.get(pk=pk) if won else None

    def extend(self) -> None:
        """Another SANDBOX_MINUTES from now, up to SANDBOX_LONGEST_MINUTES from the claim. Raises LabError at that end."""
        assert self.claimed_at and self.ends_at
        longest = self.claimed_at + timedelta(minutes=settings.SANDBOX_LONGEST_MINUTES)
        until = min(timezone.now() + timedelta(minutes=settings.SANDBOX_MINUTES), longest)
        if until <= self.ends_at:
            raise LabError(
                "longest",
                _("This lab cannot be extended past %(time)s.") % {"time": f"{timezone.localtime(self.ends_at):%H:%M}"},
                _("Start a fresh one when it ends: your progress and the list of your commands stay."),
            )
        type(self).objects.filter(pk=self.pk, state=self.State.CLAIMED).update(ends_at=until, active_at=timezone.now())
        self.ends_at = until

    @classmethod
    def forget_old(cls) -> int:
        """Delete the rows of sandboxes that ended HISTORY_DAYS ago, of which no machine holds anything."""
        before = timezone.now() - timedelta(days=settings.HISTORY_DAYS)
        return delete_in_batches(cls.objects.filter(ended_at__lt=before).exclude(gone_at=None).exclude(state__in=cls.LIVE))

    def end(self, why: str, state: str = State.ENDED) -> bool:
        """Say that it is over. The reaper removes what it holds. False when somebody else ended it first."""
        return bool(
            type(self).objects.filter(pk=self.pk, state__in=self.LIVE).update(state=state, why=why[:500], ended_at=timezone.now())
        )


class Host(models.Model):
    """One Linux host of a sandbox: one container of the engine, one address on the wire."""

    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="hosts")
    name = models.CharField(max_length=32)
    address = models.GenericIPAddressField()
    container_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sandbox", "name"], name="one_host_a_name")]


class Waiting(models.Model):
    """A student in line for a sandbox. The line is served in the order in which they came; closing the page keeps the place."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="waiting")
    layout = models.CharField(max_length=64, default="lab")
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]  # `since` is the clock's, which may be set

    @property
    def place(self) -> int:
        """1 for the next to be served."""
        return Waiting.objects.filter(pk__lte=self.pk).count()


class Command(models.Model):
    """One command line that ran, or runs, in a shell of a host: typed, or started by a Run button (`block`)."""

    OUTPUT = ("output_head", "output_tail")  # long: to be deferred by who does not show them
    STOPPED = 130  # Ctrl-C: no error
    NO_FAILURE = (0, STOPPED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="commands")
    host = models.CharField(max_length=32)
    shell = models.CharField(max_length=32)
    block = models.CharField(max_length=64, blank=True, help_text="the page's name for the Run block, if one started it")
    text = models.TextField()
    started_at = models.DateTimeField()
    exit_code = models.IntegerField(null=True, blank=True)
    duration_ms = models.FloatField(null=True, blank=True)
    output_head = models.TextField(blank=True, default="", help_text="what it printed, as readable text: all of it, or its beginning")
    output_tail = models.TextField(blank=True, default="", help_text="its end, when something between is left out")
    output_bytes = models.BigIntegerField(default=0, help_text="that it printed, kept or not")
    output_left_out = models.BigIntegerField(default=0, help_text="bytes of these that are not kept; all of them: there was no room")

    class Meta:
        indexes = [models.Index(fields=["sandbox", "started_at"]), models.Index(fields=["started_at"])]

    @classmethod
    def forget_old(cls) -> int:
        """Delete what began HISTORY_DAYS ago."""
        return delete_in_batches(cls.objects.filter(started_at__lt=timezone.now() - timedelta(days=settings.HISTORY_DAYS)))

    @property
    def shown(self) -> str:
        """Its text, with nothing in it that a terminal or a page would obey."""
        return plain.shown(self.text)

    @property
    def where(self) -> str:
        return self.host if self.shell == self.host else f"{self.host} · {self.shell}"

    @property
    def running(self) -> bool:
        return self.duration_ms is None and self.sandbox.state == Sandbox.State.CLAIMED

    @property
    def failed(self) -> bool:
        return self.exit_code is not None and self.exit_code not in self.NO_FAILURE

    @property
    def outcome(self) -> str:
        if self.exit_code == self.STOPPED:
            return _("stopped")
        if self.exit_code is not None:
            return _("exit %(code)s") % {"code": self.exit_code}
        return _("running") if self.running else _("no exit code")

    @property
    def output_refused(self) -> bool:
        """It printed, but its sandbox had printed too much before."""
        return 0 < self.output_bytes == self.output_left_out
