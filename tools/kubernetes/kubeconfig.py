"""A kubeconfig out of a certificate: for the components and for the administrator."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tools.kubernetes.address import CONTEXT


def kubeconfig(url: str, pki: Path, certificate: str, context: str = CONTEXT) -> str:
    """JSON, which is YAML too. It holds the key itself, as kind's does, so that it can be handed on: mode 0600."""
    user = {
        "client-certificate-data": _encoded(pki / f"{certificate}.crt"),
        "client-key-data": _encoded(pki / f"{certificate}.key"),
    }
    cluster = {"server": url, "certificate-authority-data": _encoded(pki / "ca.crt")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": certificate, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": certificate}}],
        "current-context": context,
    }
    return json.dumps(content, indent=2) + "\n"


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode("ascii")
