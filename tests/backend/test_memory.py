"""How much memory there is: the machine's, or the part that a container may use."""

from __future__ import annotations

from minidl.backend import memory as machine
from minidl.backend.memory import memory_limit, physical_memory


def test_the_limit_is_the_smallest_known_one(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "physical_memory", lambda: 5000)
    limits = [tmp_path / name for name in ("there", "no number", "not there")]
    monkeypatch.setattr(machine, "_control_groups", lambda root: limits)
    limits[1].write_text("max\n")
    for written, limit in (("9000\n", 5000), ("4000\n", 4000)):
        limits[0].write_text(written)
        memory_limit.cache_clear()
        assert memory_limit() == limit
    memory_limit.cache_clear()


def test_a_machine_that_reports_no_memory_has_no_limit(monkeypatch):
    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(machine.os, "sysconf", unknown, raising=False)
    monkeypatch.setattr(machine, "_control_groups", lambda root: [])
    memory_limit.cache_clear()
    assert physical_memory() is None
    assert memory_limit() is None
    memory_limit.cache_clear()


def test_enclosing_control_groups_count_too(tmp_path):
    assert not any(file.exists() for file in machine._control_groups(tmp_path))  # there are none
    (tmp_path / "proc/self").mkdir(parents=True)
    groups = tmp_path / "sys/fs/cgroup"
    for own in ("0::/a/b\n", "9:memory:/a\n0::/a/b\n"):
        (tmp_path / "proc/self/cgroup").write_text(own)
        assert machine._control_groups(tmp_path) == [
            groups / "memory/memory.limit_in_bytes",
            *(place / "memory.max" for place in (groups / "a/b", groups / "a", groups)),
        ]
