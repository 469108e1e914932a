"""What this machine can do, from what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.kubernetes.host import (
    Facts,
    Tier,
    cgroup_roots,
    choose_tier,
    filesystem_of,
    missing_for_node,
    resolver,
    supports_overlay,
    writable_cgroups,
)


@pytest.mark.parametrize(
    ("root", "groups", "wanted", "tier"),
    [
        (True, True, None, "node"),
        (False, True, None, "api"),
        (True, False, None, "api"),
        (True, True, "api", "api"),
        (False, False, "node", "node"),
    ],
)
def test_pods_run_where_root_and_control_groups_are_unless_told_otherwise(
    root: bool, groups: bool, wanted: Tier | None, tier: Tier
) -> None:
    assert choose_tier(Facts(linux=True, root=root, writable_cgroups=groups), wanted)[0] == tier


def test_the_reason_names_everything_that_is_missing() -> None:
    facts = Facts(linux=True, root=False, writable_cgroups=False)
    assert missing_for_node(facts) == ["not root", "control groups cannot be written"]
    assert "not root" in choose_tier(facts, None)[1]


def test_control_groups_of_both_versions_are_found(tmp_path: Path) -> None:
    first, second = tmp_path / "v1", tmp_path / "v2"
    for controller in ("cpu", "memory"):
        (first / controller).mkdir(parents=True)
        (first / controller / "cgroup.procs").touch()
    (first / "cpu,cpuacct").symlink_to(first / "cpu")
    (first / "not-a-controller").mkdir()
    second.mkdir()
    (second / "cgroup.controllers").touch()
    assert cgroup_roots(first) == [first / "cpu", first / "memory"]
    assert cgroup_roots(second) == [second]
    assert writable_cgroups(first)
    assert not writable_cgroups(tmp_path / "absent")


def test_an_overlay_upon_an_overlay_is_avoided() -> None:
    mounts = "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n/dev/sda1 /home/a\\040b ext4 rw 0 0\n"
    assert filesystem_of(Path("/srv/x"), mounts) == "overlay"
    assert not supports_overlay(Path("/srv/x"), mounts)
    assert supports_overlay(Path("/home/a b/checkout"), mounts)
    assert supports_overlay(Path("/work"), mounts + "tmpfs / ext4 rw 0 0\n"), "the latest mount covers the earlier"


def test_pods_get_a_resolver_that_they_can_reach(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("# comment\nnameserver 127.0.0.53\noptions edns0\n")
    assert resolver((stub, real)) == (stub, False)
    real.write_text("nameserver 192.0.2.1\n")
    assert resolver((stub, real)) == (real, True)
