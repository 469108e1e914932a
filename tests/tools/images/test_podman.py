"""What podman is told on machines where its defaults do not run."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tools.images.podman import Machine, configuration, environment

USUAL = Machine(files=1 << 20, processes=1 << 20, unified=True, runc=False, netavark=True)


def test_a_machine_where_the_defaults_serve_is_left_alone() -> None:
    assert configuration(USUAL) is None


def test_low_hard_limits_become_the_containers_limits() -> None:
    text = configuration(USUAL._replace(files=4096, processes=20_000))
    assert text is not None
    limits = tomllib.loads(text)["containers"]["default_ulimits"]
    assert limits == ["nofile=4096:4096", "nproc=20000:20000"]


def test_a_build_is_asked_for_no_more_processes_than_it_may_have() -> None:
    text = configuration(USUAL._replace(files=20_000, processes=96_365))
    assert text is not None
    assert tomllib.loads(text)["containers"]["default_ulimits"] == ["nofile=16384:16384", "nproc=32768:32768"]


def test_hybrid_cgroups_get_runc_where_it_is_installed() -> None:
    hybrid = USUAL._replace(unified=False)
    assert tomllib.loads(configuration(hybrid._replace(runc=True)) or "")["engine"]["runtime"] == "runc"
    assert "runtime" not in tomllib.loads(configuration(hybrid) or "")["engine"]


def test_containers_find_each_other_by_name_where_netavark_is_installed() -> None:
    hybrid = USUAL._replace(unified=False)
    assert tomllib.loads(configuration(hybrid) or "")["network"]["network_backend"] == "netavark"
    assert "network" not in tomllib.loads(configuration(hybrid._replace(netavark=False)) or "")


def test_a_configuration_of_the_users_own_decides(tmp_path: Path) -> None:
    given = {"CONTAINERS_CONF": "/somewhere/containers.conf", "XDG_CACHE_HOME": str(tmp_path)}
    assert environment(given) == given
    assert not list(tmp_path.iterdir())
