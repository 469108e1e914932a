"""Programs: what they are built from, where they lie, and how unpacked ones run."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools.kubernetes import images, packages, programs
from tools.kubernetes.golang_build import GoProgram, Progress, Share, command_name, program_folder


@pytest.fixture
def program(tmp_path: Path) -> GoProgram:
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "go.sum").write_text("")
    return GoProgram("example", "v1.0.0", tmp_path, ("example.org/cmd/one", "example.org/two/v2"))


def test_binaries_are_called_as_go_calls_them(program: GoProgram) -> None:
    assert list(program.commands()) == ["one", "two"]
    assert command_name("k8s.io/kubernetes/cmd/kubelet") == "kubelet"


def test_whatever_goes_into_a_build_changes_the_folder_it_lies_in(program: GoProgram, tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": "/cache"}
    first = program_folder(program, environ)
    assert first.is_relative_to("/cache")
    assert first == program_folder(program, environ)
    stamped = GoProgram(program.name, program.version, program.folder, program.packages, {"main.version": "v2"})
    assert program_folder(stamped, environ) != first
    (tmp_path / "go.sum").write_text("example.org v1 h1:=\n")
    assert program_folder(program, environ) != first


def test_progress_is_said_now_and_then_and_at_the_end() -> None:
    lines: list[str] = []
    now = iter([0.0, 0.0, 1.0, 6.0, 9.0])
    progress = Progress("building", lines.append, lambda: next(now))
    for step in range(3):
        progress.say(f"step {step}")
    progress.end()
    assert lines == ["building: step 0, 0 s", "building: step 2, 6 s", "building: done in 9 s"]
    assert [Share(10).percent(done) for done in (0, 5, 10, 99)] == [0, 45, 90, 90]
    assert Share(0).percent(1) == 90


def test_every_module_of_kubernetes_is_pinned_to_the_same_release() -> None:
    text = (programs.MODULES / "kubernetes" / "go.mod").read_text(encoding="ascii")
    assert f"k8s.io/kubernetes {programs.KUBERNETES_VERSION}" in text
    replaced = re.findall(r"^\s(\S+) => (\S+) (\S+)$", text, re.MULTILINE)
    assert len(replaced) > 25
    assert {version for _, _, version in replaced} == {programs.KUBERNETES_VERSION.replace("v1.", "v0.")}
    assert all(module == target for module, target, _ in replaced)
    coredns = (programs.MODULES / "coredns" / "go.mod").read_text(encoding="ascii")
    assert f"github.com/coredns/coredns {programs.COREDNS_VERSION}" in coredns


def test_the_programs_say_the_version_that_they_are() -> None:
    said = programs.control_plane().linker_flags()
    assert "-X k8s.io/component-base/version.gitVersion=v1.33.1" in said
    assert "-X k8s.io/component-base/version.gitMinor=33" in said


def test_an_image_holds_the_program_and_runs_it_and_is_the_same_each_time(tmp_path: Path) -> None:
    binary = tmp_path / "pause"
    binary.write_bytes(b"\x7fELF")
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    for target in (first, second):
        images.write_archive(target, "localhost/assistant/pause:1", binary, user="65535")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        configuration = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layer = archive.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    assert manifest["RepoTags"] == ["localhost/assistant/pause:1"]
    assert configuration["config"] == {"Entrypoint": ["/pause"], "User": "65535", "WorkingDir": "/"}
    with tarfile.open(fileobj=io.BytesIO(layer)) as content:
        member = content.getmember("pause")
        assert (member.mode, member.uid) == (0o755, 0)


def test_an_api_server_alone_needs_etcd_alone() -> None:
    assert packages.wanted(node=False) == {"etcd": "etcd-server"}
    assert {"containerd", "runc", "iptables-save", "ip"} <= set(packages.wanted(node=True))


def test_packages_to_fetch_are_read_from_apts_simulation() -> None:
    assert packages.newly_installed("Inst libmnl0 (1.0.4-3 Debian:12)\nInst runc (1.1)\nConf runc (1.1)\n") == [
        "libmnl0",
        "runc",
    ]


def test_an_unpacked_program_runs_with_the_libraries_beside_it(tmp_path: Path) -> None:
    for place, text in {
        "usr/bin/etcd": 'echo "etcd $LD_LIBRARY_PATH $*"',
        "usr/sbin/xtables-nft-multi": 'echo "multi $1 $2"',
    }.items():
        binary = tmp_path / "root" / place
        binary.parent.mkdir(parents=True, exist_ok=True)
        binary.write_text(f"#!/bin/sh\n{text}\n")
        binary.chmod(0o755)
    library = tmp_path / "root" / "usr" / "lib" / "x86" / "libmnl.so.0"
    library.parent.mkdir(parents=True)
    library.touch()
    packages.make_wrappers(tmp_path)

    def said(name: str, argument: str) -> str:
        return subprocess.run([tmp_path / "wrappers" / name, argument], capture_output=True, text=True, check=True).stdout

    assert said("etcd", "--version").split() == ["etcd", str(library.parent), "--version"]
    assert said("ip6tables-save", "-c") == "multi ip6tables-save -c\n"
