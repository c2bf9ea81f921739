"""What a Prometheus may know of this lab, at /metrics: its rows, its queues, and what all its processes counted and timed (counts.py).

Whichever web process is asked, it answers for the whole lab: it keeps nothing itself. Who may ask: this machine, or who has the token.
"""
import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate

import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from netcontrol import counts, heartbeat
from netcontrol.connection import Unreachable, sync
from netcontrol.counts import BOUNDS, SUM
from netcontrol.models import Machine, Sandbox, Waiting

HELP = {
    "refused": "What students asked for and did not get, by the code of the sentence that they were told",
    "held_back": "What had to wait because its sender is faster than it may be",
    "dropped": "What was lost on purpose, to keep everything else going",
    "requests": "Requests answered, by the name of the page and the kind of status",
    "request_seconds": "From a request to its answer",
    "boots": "Sandboxes that were booted, by how that ended",
    "boot_seconds": "From the start of a sandbox's first host until all are up",
    "wait_seconds": "From a student's Start until the lab was theirs; 0 when one was ready",
    "command_seconds": "How long commands ran in students' shells, as their hosts say",
}
PROXIED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if not may_ask(request):
        return HttpResponse("These are for the machine itself, or for who has PATCHBAY_METRICS_TOKEN: Authorization: Bearer …\n", content_type="text/plain; charset=utf-8", status=403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Lab())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def may_ask(request: HttpRequest) -> bool:
    """With a token set, only who has it. Without: whoever is on this machine, and is no proxy for others."""
    if settings.METRICS_TOKEN:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}")
    if any(header in request.headers for header in PROXIED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Lab(Collector):
    def collect(self) -> Iterator[Metric]:
        yield gauge("info", "The version that runs", {(settings.VERSION,): 1}, "version")
        answers: dict[tuple[str, ...], float] = {}
        for part, look, away in (("database", rows, (DatabaseError,)), ("redis", in_redis, (*Unreachable, redis.RedisError))):
            found, answers[part,] = self._seen(look, away)
            yield from found
        yield gauge("up", "Whether this part answers the web process", answers, "part")

    def _seen(self, look: Callable[[], Iterator[Metric]], away: tuple[type[Exception], ...]) -> tuple[list[Metric], float]:
        try:
            return list(look()), 1
        except away:
            return [], 0


def gauge(name: str, help: str, values: dict[tuple[str, ...], float] | float, *labels: str) -> GaugeMetricFamily:
    """`values` by the values of `labels`, or the one there is."""
    family = GaugeMetricFamily(f"patchbay_{name}", help, labels=labels)
    for of, value in (values if isinstance(values, dict) else {(): values}).items():
        family.add_metric(of, value)
    return family


def rows() -> Iterator[Metric]:
    """What the database says."""
    held = Sandbox.objects.filter(gone_at=None)
    states: dict[tuple[str, ...], float] = {(state,): 0 for state in (*Sandbox.LIVE, "leaving")}
    for state, n in held.values_list("state").annotate(Count("pk")).order_by():
        states[state if state in Sandbox.LIVE else "leaving",] += n
    yield gauge("sandboxes", "Sandboxes that machines hold; those that are over and not removed yet are `leaving`", states, "state")
    yield gauge("pool_wanted", "Sandboxes to be kept ready", settings.POOL_SIZE)
    yield gauge("capacity", "Hosts that all machines can hold", Machine.objects.aggregate(all=Sum("capacity"))["all"] or 0)
    line = Waiting.objects.aggregate(n=Count("pk"), first=Min("since"))
    yield gauge("waiting", "Students in line", line["n"])
    yield gauge("waiting_seconds", "How long the first in line has waited", max(0.0, (timezone.now() - line["first"]).total_seconds()) if line["first"] else 0)
    yield gauge("machine_seen_timestamp_seconds", "When the pool of a machine was last looked after: every 5 s, if beat and worker run", {(m.name,): m.seen_at.timestamp() for m in Machine.objects.all()}, "machine")


def in_redis() -> Iterator[Metric]:
    """What Redis says: of itself, of Celery's queues, and what was counted."""
    with sync(2) as r:
        queues = [settings.CELERY_TASK_DEFAULT_QUEUE, *(f"{kind}@{name}" for kind in ("attach", "check") for name in _machines())]
        lengths: dict[tuple[str, ...], float] = {(queue,): r.llen(queue) for queue in queues}  # type: ignore[misc]
        memory = r.info("memory")
    yield gauge("queue_length", "Tasks that no worker has taken yet", lengths, "queue")
    yield gauge("redis_memory_bytes", "What Redis uses", memory["used_memory"])  # type: ignore[index]
    yield gauge("redis_memory_most_bytes", "What it may use; 0: no bound of its own", memory["maxmemory"])  # type: ignore[index]
    yield gauge("worker_up", f"Workers that were heard of in the last {heartbeat.SILENT_SECONDS} s", {(name,): 1 for name in heartbeat.heard()}, "worker")
    yield from counted()


def _machines() -> list[str]:
    try:
        return list(Machine.objects.values_list("name", flat=True))
    except DatabaseError:
        return [settings.MACHINE]


def counted() -> Iterator[Metric]:
    kinds: dict[str, dict[counts.Labels, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row, value in counts.read():
        kinds[row.name][row.labels][row.part] = value
    for name, of in sorted(kinds.items()):
        help, labels = HELP.get(name, name), sorted({label for one in of for label, _ in one})
        by_labels = [([dict(one).get(label, "") for label in labels], parts) for one, parts in sorted(of.items())]
        if any(SUM in parts for parts in of.values()):
            times = HistogramMetricFamily(f"patchbay_{name}", help, labels=labels)
            for values, parts in by_labels:
                times.add_metric(values, _buckets(parts), parts.get(SUM, 0))
            yield times
        else:
            sums = CounterMetricFamily(f"patchbay_{name}", help, labels=labels)
            for values, parts in by_labels:
                sums.add_metric(values, parts[""])
            yield sums


def _buckets(parts: dict[str, float]) -> list[tuple[str, float]]:
    """How many were at most so long, which is how Prometheus wants them."""
    within = accumulate(parts.get(str(n), 0) for n in range(len(BOUNDS) + 1))
    return list(zip([*(str(float(bound)) for bound in BOUNDS), "+Inf"], within))
