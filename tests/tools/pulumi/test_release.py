"""Pulumi's release, from a server on this machine that stands for get.pulumi.com."""

import functools
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading
import time

import pytest

from tools.pulumi.release import WANTED, Release, Unavailable, archive_name, published_checksum
from tools.pulumi.version import PULUMI_VERSION


@pytest.fixture
def server(tmp_path):
    """(folder that is served, its address)"""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield folder, f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def publish(folder, names=WANTED, prefix="pulumi/"):
    """Put a release with executables `names` into `folder`, its checksum beside it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in (*names, "pulumi-language-go"):
            content = f"#!/bin/sh\necho v{PULUMI_VERSION}\n".encode()
            member = tarfile.TarInfo(prefix + name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    system = os.uname()
    name = archive_name(PULUMI_VERSION, system.sysname, system.machine)
    (folder / name).write_bytes(packed.getvalue())
    listing = folder / f"pulumi-{PULUMI_VERSION}-checksums.txt"
    listing.write_text(f"{'0' * 64}  another.tar.gz\n{hashlib.sha256(packed.getvalue()).hexdigest()}  {name}\n")
    return folder / name


@pytest.mark.parametrize("prefix", ["pulumi/", "pulumi/bin/", ""])
def test_a_release_is_unpacked_with_what_python_needs_and_no_more(server, tmp_path, prefix):
    folder, address = server
    publish(folder, prefix=prefix)
    release = Release(tmp_path / "cache", address)
    release.install(lambda line: None)
    assert release.ready()
    assert sorted(file.name for file in release.folder.iterdir()) == sorted(WANTED)
    assert all(os.access(file, os.X_OK) for file in release.folder.iterdir())


def test_an_archive_that_was_altered_is_not_used(server, tmp_path):
    folder, address = server
    archive = publish(folder)
    archive.write_bytes(archive.read_bytes() + b"\0")
    release = Release(tmp_path / "cache", address)
    with pytest.raises(Unavailable, match="published is"):
        release.install(lambda line: None)
    assert not release.folder.exists()


def test_an_incomplete_release_leaves_nothing_behind(server, tmp_path):
    folder, address = server
    publish(folder, names=WANTED[:-1])
    release = Release(tmp_path / "cache", address)
    with pytest.raises(Unavailable, match="lacks pulumi-resource-pulumi-python"):
        release.install(lambda line: None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_release_that_was_withdrawn_is_said(server, tmp_path):
    with pytest.raises(Unavailable, match="404"):
        Release(tmp_path / "cache", server[1]).install(lambda line: None)


def test_a_server_that_never_answers_costs_a_few_seconds(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises(Unavailable, match="could not be used"):
            Release(tmp_path / "cache", f"http://127.0.0.1:{mute.getsockname()[1]}").install(lambda line: None)
        assert time.monotonic() - start < 8


def test_checksums_are_found_by_the_whole_name():
    listing = f"{'a' * 64}  pulumi-v3.1.0-linux-x64.tar.gz.sig\n{'B' * 64} *pulumi-v3.1.0-linux-x64.tar.gz\n"
    assert published_checksum(listing, "pulumi-v3.1.0-linux-x64.tar.gz") == "b" * 64
    with pytest.raises(Unavailable, match="does not name"):
        published_checksum(listing, "pulumi-v3.1.0-linux-arm64.tar.gz")


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", "linux-x64"), ("aarch64", "linux-arm64")])
def test_both_promised_platforms_have_an_archive(machine, expected):
    assert archive_name("3.1.0", "Linux", machine) == f"pulumi-v3.1.0-{expected}.tar.gz"


def test_other_platforms_are_refused_by_name():
    with pytest.raises(Unavailable, match="Linux on riscv64"):
        archive_name("3.1.0", "Linux", "riscv64")
