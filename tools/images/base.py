"""The base image: the pinned one from its registry or, where no registry can be reached, Debian by debootstrap."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.cache import Report, cache_root, published
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.inputs import REPOSITORY, Base
from tools.images.process import call, follow

RELEASE = "bookworm"
FALLBACK = f"{REPOSITORY}/base:{RELEASE}"
MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
# Left out, as in Debian's slim images; the licences stay.
EXCLUDED = ("doc", "info", "locale", "man", "lintian")
SLIM = "".join(f"path-exclude /usr/share/{name}/*\n" for name in EXCLUDED) + "path-include /usr/share/doc/*/copyright\n"


def ensure(engine: Engine, base: Base, environ: Mapping[str, str], report: Report) -> dict[str, str]:
    """Have a base in the engine; the build arguments that name it (none: the Dockerfile's own)."""
    if engine.exists(base.reference):
        return {}
    report(f"pulling {base.name}")
    try:
        engine.output("pull", "--quiet", base.reference)
    except ImageError as error:
        refusal = str(error).splitlines()[-1].strip()
    else:
        return {}
    if not engine.exists(FALLBACK):
        report(f"{base.name} cannot be pulled here ({refusal})")
        obstacle = _obstacle(environ)
        if obstacle:
            raise ImageError(
                f"{base.reference} cannot be pulled:\n  {refusal}\n"
                "Make the registry reachable (a proxy, a mirror in the engine's settings), or load that image into it.\n"
                f"Making a base from Debian's packages does not go here: {obstacle}."
            )
        report("instead, the base is made from Debian's own packages with debootstrap; it is not the pinned one")
        archive = cache_root(environ) / "images" / f"base-{RELEASE}" / "root.tar"
        if not archive.exists():
            _bootstrap(archive.parent, environ, report)
        engine.output("import", str(archive), FALLBACK)
    found = engine.inspect(FALLBACK) or {}
    return {"BASE": FALLBACK, "BASE_NAME": FALLBACK, "BASE_DIGEST": str(found.get("Digest") or found.get("Id", ""))}


def _obstacle(environ: Mapping[str, str]) -> str | None:
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which("debootstrap", path=environ.get("PATH")) is None and shutil.which("apt-get") is None:
        return "it needs debootstrap, and there is no apt-get to install it with"
    return None


def mirror_of(sources: str) -> str:
    """The first mirror of Debian's main archive that a machine's apt sources name, both of apt's formats; else Debian's.

    An address that carries a password is passed over: it would stand in the image.
    """
    found = re.findall(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S+)", sources, re.MULTILINE)
    plain = [url.rstrip("/") for url in found if "@" not in url and re.search(r"/debian/?$", url)]
    return plain[0] if plain else MIRROR


def _sources() -> str:
    if "ID=debian" not in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        return ""
    folder = Path("/etc/apt")
    places = [
        folder / "sources.list",
        *sorted(folder.glob("sources.list.d/*.list")),
        *sorted(folder.glob("sources.list.d/*.sources")),
    ]
    return "\n".join(place.read_text(encoding="utf-8") for place in places if place.exists())


def _bootstrap(target: Path, environ: Mapping[str, str], report: Report) -> None:
    """``root.tar`` in ``target``: Debian's minimal system, up to date, without manuals."""
    log = cache_root(environ) / "images" / "logs" / "base.log"
    if shutil.which("debootstrap") is None:
        report("installing debootstrap with apt-get")
        call(["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"], environ)
    mirror = mirror_of(_sources())
    security = mirror.removesuffix("/debian") + "/debian-security" if mirror != MIRROR else SECURITY_MIRROR
    with published(target) as partial:
        root = partial / "root"

        def watch(line: str) -> None:
            if line.startswith(("I: Unpacking the base system", "I: Configuring the base system")):
                report(f"debootstrap: {line.removeprefix('I: ').lower()}")

        follow(["debootstrap", "--variant=minbase", RELEASE, str(root), mirror], environ, log, watch)
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM, encoding="utf-8")
        lines = [
            f"deb {mirror} {RELEASE} main",
            f"deb {mirror} {RELEASE}-updates main",
            f"deb {security} {RELEASE}-security main",
        ]
        (root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        report("debootstrap: security updates")
        chroot = ["chroot", str(root), "sh", "-c", "apt-get update -qq && apt-get upgrade -qq --yes && apt-get clean"]
        follow(
            chroot,
            {**environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            log.with_name("base-updates.log"),
            lambda _: None,
        )
        _slim(root)
        call(
            ["tar", "--create", "--numeric-owner", "--file", str(partial / "root.tar"), "--directory", str(root), "."], environ
        )
        shutil.rmtree(root)


def _slim(root: Path) -> None:
    for name in EXCLUDED:
        subprocess.run(
            ["find", str(root / "usr/share" / name), "-mindepth", "1", "!", "-type", "d", "!", "-name", "copyright", "-delete"],
            check=False,
        )
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/log/*"):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "etc/resolv.conf").unlink(missing_ok=True)  # this machine's, not the image's
