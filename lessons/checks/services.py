"""service: whether systemd on the host runs a unit."""
from django.utils.translation import gettext as _

from lessons.checks.ask import ask, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Name, Params
from lessons.checks.verdict import Failed, say


class ServiceParams(Params):
    name: Name
    active: bool = True


def title(p: ServiceParams) -> str:
    return say(_("The service `%(name)s` is active") if p.active else _("The service `%(name)s` is not active"), name=p.name)


async def look(p: ServiceParams, host: str, run: Run) -> None:
    answer = await ask(run, host, "service", name=p.name)
    load, state = (part(answer, "said", key, kind=str, host=host) for key in ("LoadState", "ActiveState"))
    active = state in ("active", "reloading", "refreshing")
    if active and not p.active:
        raise Failed(say(_("The service `%(name)s` is still active."), name=p.name))
    if active == p.active and state != "deactivating":
        return
    sentence = {
        "activating": _("The service `%(name)s` is still starting."),
        "deactivating": _("The service `%(name)s` is still being stopped."),
        "failed": _("The service `%(name)s` has failed: `systemctl status %(name)s` says more."),
    }.get(state, _("There is no service `%(name)s`.") if load == "not-found" else _("The service `%(name)s` is not active."))
    raise Failed(say(sentence, name=p.name))


SERVICE = CheckType("service", ServiceParams, title, look)
