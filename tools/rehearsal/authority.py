"""The certificates of a rehearsal: of the load balancer and of the queue, by an authority that is worth nothing elsewhere."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.generated.authority import Issued, issue_authority, issue_server

VALIDITY = datetime.timedelta(days=2)
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Paths of PEM files. ``bundle``: what pods trust, the public authorities and ours."""

    authority: Path
    bundle: Path
    certificate: Path
    key: Path


def issue(folder: Path, hosts: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> Certificates:
    """One server certificate for all ``hosts``; the authority's key is thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    authority = issue_authority(hosts, now, "Assistant rehearsal authority")
    server: Issued = issue_server(authority, hosts, VALIDITY, now)
    public = Path(environ.get("SSL_CERT_FILE") or SYSTEM_BUNDLE)
    made = Certificates(
        authority=folder / "authority.pem",
        bundle=folder / "bundle.pem",
        certificate=folder / "server.pem",
        key=folder / "server.key",
    )
    made.authority.write_bytes(authority.certificate)
    made.bundle.write_bytes((public.read_bytes() if public.exists() else b"") + b"\n" + authority.certificate)
    made.certificate.write_bytes(server.certificate)
    made.key.touch(mode=0o600)
    made.key.write_bytes(server.key)
    return made
