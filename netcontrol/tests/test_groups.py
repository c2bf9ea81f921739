"""Counting a host's cgroups, in folders that look like a machine's."""
import pytest

from netcontrol.engine import cgroups as find
from netcontrol.engine import groups


@pytest.fixture(params=["memory/abc", "abc", "docker-abc.scope", "memory/docker/outer/abc"], ids=["v1", "v2", "v2 systemd", "in a container"])
def cgroups(tmp_path, request):
    (tmp_path / request.param / "one/two").mkdir(parents=True)
    (tmp_path / request.param / "memory.max").touch()
    if not request.param.startswith("memory"):
        (tmp_path / "cgroup.controllers").touch()
    return tmp_path


def test_what_a_host_made_is_counted(cgroups):
    assert groups.made_by("abc", cgroups) == 2
    assert groups.made_by("other", cgroups) == 0


def test_counting_ends_when_they_are_too_many(cgroups, monkeypatch):
    monkeypatch.setattr(groups, "MANY", 5)
    top = find.folder("abc", "memory", cgroups)
    for n in range(20):
        (top / f"a{n}/b/c").mkdir(parents=True)
    assert 5 < groups.made_by("abc", cgroups) < 60


def test_those_of_the_whole_machine(tmp_path):
    (tmp_path / "cgroups").write_text("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t7\t1\nmemory\t4\t362\t1\n")
    assert groups.in_use(tmp_path) == 362
