"""The gateway's certificate and the authority that signed it. Keys lie in files with mode 0600 and never in the state."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.generated.authority import (
    Issued,
    belong_together,
    fingerprint,
    issue_authority,
    issue_server,
    not_after,
    with_loopback,
)
from infra.generated.renewal import Action, due
from infra.local.layout import Layout
from infra.local.private_files import file_status, make_private_directory, read_text, remove_empty, write_private
from infra.local.provider import LocalProvider, Props, changed_inputs, inputs_of, present, update_or_replace

AUTHORITY_CERTIFICATE, AUTHORITY_KEY = "ca.pem", "ca.key"
CERTIFICATE, KEY = "server.pem", "server.key"
FILES = (AUTHORITY_CERTIFICATE, AUTHORITY_KEY, CERTIFICATE, KEY)


def decide(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime.datetime) -> Action:
    """What the state ``olds`` needs to become ``news`` at the time ``now``. Pure."""
    files = olds.get("files", {})
    if any(files.get(name) in {"missing", "changed"} for name in (AUTHORITY_CERTIFICATE, AUTHORITY_KEY)):
        return Action.REISSUE
    action = due(olds, news, now)
    if action is Action.KEEP and any(status != "ok" for status in files.values()):
        return Action.RENEW
    return action


class CertificateProvider(LocalProvider):
    """Inputs: ``stateDirectory``, ``hosts``, ``validityDays``, ``renewBeforeDays``.

    Outputs besides: ``caCertificate`` (PEM), ``notAfter`` and ``authorityNotAfter`` (ISO 8601, UTC), ``fingerprint`` and
    ``authorityFingerprint`` (SHA-256), ``files`` (status by name).
    """

    def create(self, props: Props) -> CreateResult:
        return CreateResult(fingerprint_of(_issue(props, Action.REISSUE)), _outputs(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, {**inputs_of(props), "files": _files(props)})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if decide(olds, news, datetime.datetime.now(datetime.UTC)) is not Action.KEEP:
            changed.append("notAfter")
        return update_or_replace(changed, replaced_by=frozenset({"stateDirectory"}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        _issue(news, decide(olds, news, datetime.datetime.now(datetime.UTC)))
        return UpdateResult(_outputs(news))

    def delete(self, _id: str, props: Props) -> None:
        layout = Layout(Path(props["stateDirectory"]))
        for name in FILES:
            (layout.certificate / name).unlink(missing_ok=True)
        remove_empty(layout.certificate, layout.root)


def fingerprint_of(issued: Issued) -> str:
    return fingerprint(issued.certificate)[:16]


def _issue(props: Props, action: Action) -> Issued:
    """Carry ``action`` out; the server's certificate afterwards."""
    layout = Layout(Path(props["stateDirectory"]))
    directory = layout.certificate
    make_private_directory(layout.root)
    make_private_directory(directory)
    now = datetime.datetime.now(datetime.UTC)
    if action is Action.REISSUE:
        authority = issue_authority(props["hosts"], now)
        _write(directory, AUTHORITY_CERTIFICATE, AUTHORITY_KEY, authority)
    else:
        authority = _load(directory, AUTHORITY_CERTIFICATE, AUTHORITY_KEY)
    if action is Action.KEEP:
        return _load(directory, CERTIFICATE, KEY)
    server = issue_server(authority, props["hosts"], datetime.timedelta(days=float(props["validityDays"])), now)
    _write(directory, CERTIFICATE, KEY, server)
    return server


def _write(directory: Path, certificate: str, key: str, issued: Issued) -> None:
    write_private(directory / certificate, issued.certificate.decode())
    write_private(directory / key, issued.key.decode())


def _load(directory: Path, certificate: str, key: str) -> Issued:
    # A file with another mode is written again, and so is not open to others any longer.
    issued = Issued((directory / certificate).read_bytes(), (directory / key).read_bytes())
    _write(directory, certificate, key, issued)
    return issued


def _outputs(props: Props) -> Props:
    directory = Layout(Path(props["stateDirectory"])).certificate
    authority, server = (directory / AUTHORITY_CERTIFICATE).read_bytes(), (directory / CERTIFICATE).read_bytes()
    outputs = {
        **inputs_of(props),
        "caCertificate": authority.decode(),
        "fingerprint": fingerprint(server),
        "authorityFingerprint": fingerprint(authority),
        "notAfter": not_after(server).isoformat(),
        "authorityNotAfter": not_after(authority).isoformat(),
    }
    return {**outputs, "files": _files(outputs)}


def _files(outputs: Props) -> dict[str, str]:
    directory = Layout(Path(outputs["stateDirectory"])).certificate
    status: dict[str, str] = {}
    for certificate, key, expected in (
        (AUTHORITY_CERTIFICATE, AUTHORITY_KEY, outputs["authorityFingerprint"]),
        (CERTIFICATE, KEY, outputs["fingerprint"]),
    ):
        pem, key_pem = (read_text(directory / name) or "" for name in (certificate, key))
        status[certificate] = file_status(directory / certificate, _fingerprint_or_none(pem) == expected)
        status[key] = file_status(directory / key, belong_together(pem.encode(), key_pem.encode()))
    return status


def _fingerprint_or_none(pem: str) -> str | None:
    try:
        return fingerprint(pem.encode())
    except ValueError:
        return None


class Certificate(Resource, module="local", name="Certificate"):
    """A server certificate for loopback and ``hosts``, renewed by ``up`` when fewer than ``renew_before_days`` are left."""

    fingerprint: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        state_directory: Path,
        hosts: Sequence[str],
        validity_days: int,
        renew_before_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            CertificateProvider(),
            name,
            {
                "stateDirectory": str(state_directory),
                "hosts": list(with_loopback(hosts)),
                "validityDays": validity_days,
                "renewBeforeDays": renew_before_days,
                "caCertificate": None,
                "fingerprint": None,
                "authorityFingerprint": None,
                "notAfter": None,
                "authorityNotAfter": None,
                "files": None,
            },
            opts,
        )

    @property
    def ca_certificate(self) -> pulumi.Output[str]:
        """PEM of the authority."""
        return cast("pulumi.Output[str]", self.__dict__["caCertificate"])
