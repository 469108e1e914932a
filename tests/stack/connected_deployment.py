"""A ``local`` stack that Slack and Feishu are connected to, played on loopback, and that two tenants share."""

from __future__ import annotations

import secrets
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from feishu.emulator import Emulator as Feishu
from local_deployment import LocalDeployment, make_local
from slack_workspace.emulator import CLIENT_ID
from slack_workspace.emulator import Emulator as Slack
from slack_workspace.workspace import TEAM

from infra.credentials import Credentials

FEISHU_TEAM = "tenant1"
SUBSCRIBED = ("app_mention", "message.im")
ROLES = [
    {"role": "user", "members": ["everybody"], "permissions": ["ask", "run:calendar.create"]},
    {"role": "operations", "members": ["group:operations"], "permissions": ["read:events", "administer"]},
    {"role": "operator", "members": ["key:operator"], "permissions": ["*"]},
]


@dataclass(kw_only=True)
class ConnectedDeployment(LocalDeployment):
    """The Slack workspace is the tenant acme's, Feishu's the tenant beta's. ``keys``: an API key of each tenant's."""

    slack: Slack
    feishu: Feishu
    credentials: Credentials
    keys: dict[str, str]

    @property
    def tenants_file(self) -> Path:
        return self.folder / "tenants.yaml"

    def secrets(self) -> dict[str, str]:
        """Those that people brought and those that the platforms gave out as well."""
        brought = {file.name: file.read_text().strip() for file in self.credentials.directory.iterdir()}
        keys = {f"{tenant}'s key": key for tenant, key in self.keys.items()}
        given = [*self.slack.workspace.tokens, *self.slack.workspace.refresh_tokens]
        return super().secrets() | brought | keys | {f"token {number} of Slack's": token for number, token in enumerate(given)}

    def written(self) -> dict[str, str]:
        redis = {str(file): file.read_bytes().decode("latin-1") for file in self.layout.data("redis").rglob("*.aof")}
        return super().written() | redis

    def introduce(self) -> None:
        """Tell the platforms where the stack is, and have the workspace install it."""
        outputs = self.outputs()
        context = ssl.create_default_context(cadata=outputs["caCertificate"])
        self.slack.delivery.request_url, self.slack.delivery.verify = outputs["webhookUrls"]["slack"], context
        installed = install(Browser(outputs), "slack")
        assert installed.status_code == 200, installed.text

    def tenants(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "acme",
                "teams": [f"slack:{TEAM}"],
                "apiKeys": [{"name": "acmes", "key": f"file:{self.folder / 'acme.key'}", "groups": ["operations"]}],
            },
            {
                "name": "beta",
                "teams": [f"feishu:{FEISHU_TEAM}"],
                "apiKeys": [{"name": "betas", "key": f"file:{self.folder / 'beta.key'}", "groups": ["operations"]}],
            },
            {"name": "others", "teams": ["generic:default"]},
        ]

    def write_tenants(self, tenants: list[dict[str, Any]]) -> None:
        """As an editor does: all at once."""
        new = self.tenants_file.with_suffix(".new")
        new.write_text(yaml.safe_dump(tenants, sort_keys=False), encoding="utf-8")
        new.replace(self.tenants_file)

    def connect(self, *, outbound: bool = False) -> None:
        """Write both platforms into the settings: by webhooks, or by connections that go out."""
        slack = {
            "clientId": CLIENT_ID,
            "apiUrl": self.slack.api_url,
            "authorizeUrl": f"{self.slack.url}/oauth/v2/authorize",
            "transport": "socketMode" if outbound else "webhook",
        }
        feishu = {
            "appId": self.feishu.app_id,
            "url": self.feishu.url,
            "accountsUrl": self.feishu.url,
            "transport": "longConnection" if outbound else "webhook",
        }
        generic = {"url": f"http://{self.platform_host}:{self.platform_port}"}
        self.configure(platforms={"generic": generic, "slack": slack, "feishu": feishu})

    def remove(self) -> None:
        super().remove()
        self.slack.stop()
        self.feishu.stop()
        shutil.rmtree(self.credentials.directory, ignore_errors=True)


class Browser(httpx2.Client):
    """A person's, which goes to the stack and to the platforms, and follows nothing by itself."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        context = ssl.create_default_context(cadata=outputs["caCertificate"])
        super().__init__(base_url=outputs["url"], verify=context, timeout=30, trust_env=False)

    def consent(self, begun: httpx2.Response, **more: str) -> str:
        """The address with which the platform sends the browser back. ``more`` changes what it was asked."""
        assert begun.status_code == 302, begun.text
        asked = httpx2.URL(begun.headers["location"])
        allowed = self.get(asked.copy_merge_params(more))
        assert allowed.status_code == 302, allowed.text
        return str(allowed.headers["location"])


def install(browser: Browser, platform: str, **more: str) -> httpx2.Response:
    """From the first page to the last, as somebody who consents."""
    return browser.get(browser.consent(browser.get(f"/oauth/{platform}/start"), **more))


def make_connected(folder: Path, name: str) -> ConnectedDeployment:
    local = make_local(folder, name)
    callback = f"https://localhost:{local.ports['gateway']}/oauth"
    values = {
        "slack_signing_secret": secrets.token_hex(16),
        "slack_client_secret": secrets.token_hex(16),
        "feishu_app_secret": secrets.token_hex(16),
        "feishu_encrypt_key": secrets.token_hex(16),
        "feishu_verification_token": secrets.token_hex(16),
        "slack_app_token": f"xapp-1-{secrets.token_hex(16)}",
    }
    credentials = Credentials(local.engine.stack)
    for secret, value in values.items():
        credentials.write(secret, value)
    deployment = ConnectedDeployment(
        **vars(local),
        slack=Slack(
            signing_secret=values["slack_signing_secret"],
            app_token=values["slack_app_token"],
            client_secret=values["slack_client_secret"],
            redirect_uris=(f"{callback}/slack/callback",),
            rotation=True,
            pace=0.01,
            subscribed=SUBSCRIBED,
        ).start(),
        feishu=Feishu(
            app_secret=values["feishu_app_secret"],
            encrypt_key=values["feishu_encrypt_key"],
            verification_token=values["feishu_verification_token"],
            redirect_uris=(f"{callback}/feishu/callback",),
            tenant=FEISHU_TEAM,
        ).start(),
        credentials=credentials,
        keys={tenant: secrets.token_urlsafe(24) for tenant in ("acme", "beta")},
    )
    for tenant, key in deployment.keys.items():
        (folder / f"{tenant}.key").write_text(key)
    deployment.write_tenants(deployment.tenants())
    (folder / "roles.yaml").write_text(yaml.safe_dump(ROLES, sort_keys=False), encoding="utf-8")
    deployment.configure(access={"tenants": str(deployment.tenants_file), "roles": str(folder / "roles.yaml")})
    deployment.connect()
    return deployment
