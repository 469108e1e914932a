"""The command line that builds an image."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from tools.images.command import Build, command, naming, naming_file

BUILD = Build(
    target="gateway",
    name="localhost/assistant/gateway:0123456789abcdef",
    arguments={"BASE": "localhost/assistant/base:bookworm"},
    labels={"org.opencontainers.image.revision": "f00"},
    epoch=1_700_000_000,
    secrets={"authorities": Path("/etc/ssl/bundle.crt")},
    proxies=["HTTPS_PROXY"],
    fresh=False,
)


ID = Path("/tmp/id")


def pairs(line: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(line))


def test_both_engines_get_the_target_its_base_and_the_authorities_as_a_secret() -> None:
    for kind in ("docker", "podman"):
        line = command(kind, BUILD, ID)
        assert {
            ("--target", "gateway"),
            ("--build-arg", "BASE=localhost/assistant/base:bookworm"),
            ("--secret", "id=authorities,src=/etc/ssl/bundle.crt"),
            ("--build-arg", "HTTPS_PROXY"),
        } <= pairs(line)
        assert "--no-cache" not in line


def test_labels_are_the_last_commits_whatever_the_cache_holds() -> None:
    assert ("--label", "org.opencontainers.image.revision=f00") in pairs(command("docker", BUILD, ID))
    assert naming_file(BUILD, "sha256:12") == 'FROM sha256:12\nLABEL org.opencontainers.image.revision="f00"\n'
    line = naming(BUILD, Path("/tmp"))
    assert "--no-cache" in line
    assert {("--tag", BUILD.name), ("--timestamp", "1700000000")} <= pairs(line)


def test_the_time_of_the_commit_is_the_time_of_the_image() -> None:
    assert ("--timestamp", "1700000000") in pairs(command("podman", BUILD, ID))
    docker = command("docker", BUILD, ID)
    assert ("--build-arg", "SOURCE_DATE_EPOCH=1700000000") in pairs(docker)
    # No rewrite-timestamp: Docker's containerd image store refuses a build that asks for it (docker/buildx#2733).
    assert ("--output", "type=docker") in pairs(docker)


def test_outside_git_no_time_is_claimed() -> None:
    line = command("podman", replace(BUILD, epoch=None), ID)
    assert "--timestamp" not in line
    assert not any("SOURCE_DATE_EPOCH" in word for word in line)


def test_a_fresh_build_uses_no_layer_of_an_earlier_one() -> None:
    assert "--no-cache" in command("podman", replace(BUILD, fresh=True), ID)


def test_where_podman_cannot_start_containers_a_chroot_does() -> None:
    line = command("podman", replace(BUILD, isolation=["--isolation", "chroot"]), ID)
    assert ("--isolation", "chroot") in pairs(line)
