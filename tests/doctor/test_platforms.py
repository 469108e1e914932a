"""The way to the platforms, their credentials, and what is signed with the secrets: against the emulators."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feishu.emulator import Emulator as Feishu
from generic.emulator import Emulator as Generic
from identity_provider import AUDIENCE, IdentityProvider
from slack_workspace.emulator import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from slack_workspace.emulator import Emulator as Slack

from app.doctor.checks import public, settings, signatures
from app.doctor.finding import Severity
from app.doctor.reach import Reached, judge, reach
from infra.generated.authority import issue_authority, issue_server

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as emulator:
        yield emulator


@pytest.fixture
def feishu() -> Iterator[Feishu]:
    with Feishu() as emulator:
        yield emulator


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    found = IdentityProvider()
    yield found
    found.close()


def of_slack(slack: Slack, **more: str) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_API_URL": slack.api_url, **more}


def of_feishu(feishu: Feishu, **more: str) -> dict[str, str]:
    return {"FEISHU_APP_ID": feishu.app_id, "FEISHU_APP_SECRET": feishu.app_secret, "FEISHU_URL": feishu.url, **more}


def test_finds_nothing_wrong_where_the_credentials_are_right(doctor: Any, slack: Slack, feishu: Feishu) -> None:
    given = of_slack(slack) | of_feishu(feishu)
    assert doctor.wrong("worker", "settings", "network", "tokens", **given) == []
    assert doctor.wrong("transport", "network", "tokens", SLACK_APP_TOKEN=APP_TOKEN, SLACK_API_URL=slack.api_url) == []


def test_tells_a_revoked_slack_token(doctor: Any, slack: Slack) -> None:
    slack.workspace.tokens[BOT_TOKEN].revoked = True
    found = doctor.only("worker", "tokens", **of_slack(slack))
    assert found.what == "Slack refuses: SLACK_BOT_TOKEN is wrong"
    assert "account_inactive" in found.evidence


def test_tells_a_scope_that_slack_was_not_asked_for(doctor: Any, slack: Slack) -> None:
    slack.workspace.tokens[BOT_TOKEN].scopes = "app_mentions:read,chat:write,im:history"
    found = doctor.only("worker", "tokens", **of_slack(slack))
    assert "OAuth & Permissions" in found.what
    assert "files:write" in found.evidence


def test_tells_a_wrong_app_level_token(doctor: Any, slack: Slack) -> None:
    found = doctor.only("transport", "tokens", SLACK_APP_TOKEN="xapp-another", SLACK_API_URL=slack.api_url)
    assert found.what == "Slack refuses: SLACK_APP_TOKEN is wrong"


def test_takes_a_slack_that_is_busy_for_no_wrong_token(doctor: Any, slack: Slack) -> None:
    slack.fail("auth.test", "error", error="ratelimited", times=5)
    assert doctor.only("worker", "tokens", **of_slack(slack)).severity is Severity.WARNING


def test_tells_a_wrong_feishu_secret(doctor: Any, feishu: Feishu) -> None:
    found = doctor.only("worker", "tokens", **of_feishu(feishu, FEISHU_APP_SECRET="another-secret"))
    assert found.what == "Feishu refuses: FEISHU_APP_SECRET is wrong"


def test_tells_a_wrong_feishu_application(doctor: Any, feishu: Feishu) -> None:
    found = doctor.only("worker", "tokens", **of_feishu(feishu, FEISHU_APP_ID="cli_another"))
    assert "FEISHU_APP_ID" in found.what


def test_tells_a_permission_that_feishu_has_not_granted(doctor: Any, feishu: Feishu) -> None:
    feishu.scopes.remove("calendar:calendar")
    found = doctor.only("worker", "tokens", **of_feishu(feishu))
    assert "calendar:calendar" in found.evidence


def test_tells_a_wrong_client_secret_of_the_generic_platform(doctor: Any) -> None:
    with Generic(client_secret="right-secret", webhook_secret=WEBHOOK_SECRET) as emulator:
        given = {"GENERIC_URL": emulator.url, "GENERIC_WEBHOOK_SECRET": WEBHOOK_SECRET}
        assert doctor.wrong("worker", "tokens", **given, GENERIC_CLIENT_SECRET="right-secret") == []
        found = doctor.only("worker", "tokens", **given, GENERIC_CLIENT_SECRET="wrong-secret")
    assert "GENERIC_CLIENT_SECRET" in found.what


# --- the way there ------------------------------------------------------------------------------------------------------------


def test_tells_name_connection_and_tls_apart(doctor: Any, closed_port: int, tmp_path: Path) -> None:
    def what(url: str) -> str:
        return str(doctor.only("worker", "network", SLACK_BOT_TOKEN=BOT_TOKEN, SLACK_API_URL=url).what)

    assert what("https://nobody.invalid/api/") == "The name of Slack is not found"
    assert what(f"https://127.0.0.1:{closed_port}/api/") == "Slack takes no connection"
    with _tls_server(tmp_path) as port:
        assert what(f"https://localhost:{port}/api/") == "The TLS of Slack does not hold"


async def test_says_why_tls_does_not_hold(tmp_path: Path) -> None:
    with _tls_server(tmp_path) as port:
        found = await reach(f"https://localhost:{port}/")
        assert "certificate not accepted" in found.reason
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        found = await reach(f"https://localhost:{port}/", trusting)
        assert found.stage == "reached"
        assert found.tls_seconds is not None


async def test_gives_up_on_an_address_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await reach(f"https://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2)
    assert (found.stage, found.reason) == ("tls", "no answer within 0.2 s")


def test_warns_of_a_platform_that_is_far_away() -> None:
    near = Reached(host="slack.com", port=443, stage="reached", tcp_seconds=0.1, tls_seconds=0.2)
    far = Reached(host="slack.com", port=443, stage="reached", tcp_seconds=0.6, tls_seconds=0.6)
    assert judge("network", "Slack", "SLACK_API_URL", near).severity is Severity.OK
    assert judge("network", "Slack", "SLACK_API_URL", far).severity is Severity.WARNING


def test_takes_a_stand_in_that_is_not_running_for_no_fault(doctor: Any, closed_port: int) -> None:
    (found,) = doctor.look("worker", "network", GENERIC_URL=f"http://127.0.0.1:{closed_port}")
    assert found.severity is Severity.NOTE


def test_reaches_through_the_proxy_that_the_environment_names(
    doctor: Any, monkeypatch: pytest.MonkeyPatch, slack: Slack, closed_port: int
) -> None:
    monkeypatch.setenv("https_proxy", slack.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (found,) = doctor.look("worker", "network", SLACK_BOT_TOKEN=BOT_TOKEN, SLACK_API_URL="https://nobody.invalid/api/")
    assert found.severity is Severity.OK
    assert "the proxy" in found.evidence


# --- what comes in ------------------------------------------------------------------------------------------------------------


def test_lets_in_what_every_secret_of_a_set_has_signed(doctor: Any) -> None:
    found = doctor.look(
        "gateway",
        "signatures",
        GENERIC_WEBHOOK_SECRET=f"{WEBHOOK_SECRET} whsec_{'A' * 40}",
        SLACK_SIGNING_SECRET=f"{SIGNING_SECRET} {'f' * 32}",
        FEISHU_ENCRYPT_KEY="the-new-key the-old-key",
        FEISHU_VERIFICATION_TOKEN="the-token",
    )
    let_in = [finding.what for finding in found if finding.severity is Severity.OK]
    assert len(let_in) == 6
    assert sum("previous secret 1" in what for what in let_in) == 3
    held = [finding for finding in found if finding.severity is Severity.NOTE]
    assert len(held) == 3
    assert len(found) == 9


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"SLACK_SIGNING_SECRET": "too short"}, "SLACK_SIGNING_SECRET"),
        ({"GENERIC_WEBHOOK_SECRET": "whsec_AAAA"}, "GENERIC_WEBHOOK_SECRET"),
        ({"FEISHU_ENCRYPT_KEY": "a-key"}, "FEISHU_ENCRYPT_KEY"),
    ],
)
def test_tells_a_secret_that_cannot_be_used(doctor: Any, given: dict[str, str], setting: str) -> None:
    found = doctor.only("gateway", "signatures", **given) if setting != "FEISHU_ENCRYPT_KEY" else None
    found = found or doctor.wrong("gateway", "signatures", **given)[0]
    assert found.what == f"{setting} cannot be used"
    assert next(iter(given.values())) not in found.evidence + found.remedy


def test_tells_a_signature_that_is_refused() -> None:
    """As where the clock jumps between signing and checking, or the two halves read different secrets."""
    from app.platforms.secret_set import SecretSet
    from app.platforms.slack.events import SlackEvents
    from app.platforms.slack.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

    body, now = b"{}", 1_800_000_000
    events = SlackEvents(SecretSet(b"the-secret-of-this-side"), now=lambda: float(now))
    headers = [(TIMESTAMP_HEADER, str(now)), (SIGNATURE_HEADER, sign(b"the-secret-of-the-other", now, body))]
    found = signatures.judge("slack", events, 0, signatures._request(body, headers))
    assert found.severity is Severity.ERROR
    assert "invalid_signature" in found.evidence


def test_warns_of_feishu_events_that_anybody_can_forge(doctor: Any) -> None:
    found = doctor.only("gateway", "signatures", FEISHU_VERIFICATION_TOKEN="the-token")
    assert "not signed" in found.what


def test_says_when_a_previous_secret_was_last_used() -> None:
    line = f'{signatures.METRIC}{{platform="slack"}} 1.8e+09\n'
    assert "still in use" in signatures.judge_previous("slack", line, 1.8e9 + 3600).what
    assert "no longer in use" in signatures.judge_previous("slack", line, 1.8e9 + 90_000).what
    assert "nobody has used" in signatures.judge_previous("slack", "", 1.8e9).what
    assert "not told" in signatures.judge_previous("slack", None, 1.8e9).evidence


def test_reads_the_metric_as_the_gateway_writes_it() -> None:
    from prometheus_client import generate_latest

    from app.gateway.metrics import GatewayMetrics
    from app.telemetry.metrics import new_registry

    registry = new_registry()
    metrics = GatewayMetrics(registry)
    metrics.previous_secret_used("slack")
    told = signatures.judge_previous("slack", generate_latest(registry).decode(), datetime.now(UTC).timestamp())
    assert "still in use" in told.what


# --- the public address -------------------------------------------------------------------------------------------------------


def test_tells_a_redirect_uri_that_is_not_https() -> None:
    found = public.judge_address("http://assistant.example.com", [], ["slack"])
    assert found[0].severity is Severity.ERROR
    assert "https" in found[0].what
    assert any("http://assistant.example.com/oauth/slack/callback" in finding.evidence for finding in found)


def test_is_content_with_an_https_address() -> None:
    found = public.judge_address("https://assistant.example.com/", ["slack", "feishu"], ["slack"])
    assert {finding.severity for finding in found} == {Severity.OK}
    assert [finding.evidence.partition(",")[0] for finding in found] == [
        "https://assistant.example.com/oauth/slack/callback",
        "https://assistant.example.com/events/slack",
        "https://assistant.example.com/events/feishu",
    ]


def test_warns_of_an_address_that_only_this_machine_reaches() -> None:
    (found, *_) = public.judge_address("https://localhost:8443", ["slack", "feishu"], [], ["feishu"])
    assert found.severity is Severity.WARNING
    assert found.what.startswith("slack cannot call")
    played_here = public.judge_address("https://localhost:8443", ["slack"], [], ["slack"])
    assert {finding.severity for finding in played_here} == {Severity.OK}


def test_tells_an_address_that_is_not_the_gateways(doctor: Any, slack: Slack, closed_port: int) -> None:
    assert "Something else answers" in doctor.only("gateway", "public", PUBLIC_URL=f"{slack.url}/elsewhere").what
    assert "takes no connection" in doctor.only("gateway", "public", PUBLIC_URL=f"http://127.0.0.1:{closed_port}").what


def test_does_not_blame_the_address_for_the_pods_network_policy() -> None:
    unreached = Reached(host="assistant.example.com", port=443, stage="tcp", reason="no answer within 5 s")
    assert public.judge_reached(unreached, in_pod=True).severity is Severity.NOTE
    assert public.judge_reached(unreached, in_pod=False).severity is Severity.ERROR


# --- the identity provider ----------------------------------------------------------------------------------------------------


def test_finds_nothing_wrong_with_a_provider_whose_keys_are_there(doctor: Any, provider: IdentityProvider) -> None:
    assert doctor.wrong("gateway", "identity", OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE=AUDIENCE) == []


def test_tells_keys_that_are_not_to_be_had(doctor: Any, provider: IdentityProvider, closed_port: int) -> None:
    given = {"OIDC_ISSUER": provider.issuer, "OIDC_AUDIENCE": AUDIENCE}
    gone = f"http://127.0.0.1:{closed_port}"
    assert "keys are not to be had" in doctor.only("gateway", "identity", **given, OIDC_JWKS_URL=f"{gone}/keys").what
    assert "takes no connection" in doctor.only("gateway", "identity", **(given | {"OIDC_ISSUER": gone})).what
    provider.issuer_it_says = "https://somebody-else.example.com"
    assert "another issuer" in doctor.only("gateway", "identity", **given).evidence
    provider.issuer_it_says, provider.keys = None, []
    assert "no key" in doctor.only("gateway", "identity", **given).evidence


# --- what lacks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "given", "missing"),
    [
        ("gateway", {"slack_client_id", "slack_signing_secret", "public_url", "token_key"}, "SLACK_CLIENT_SECRET"),
        ("gateway", {"slack_client_id", "slack_signing_secret", "slack_client_secret", "public_url"}, "TOKEN_KEY"),
        ("gateway", {"slack_client_id", "slack_signing_secret", "slack_client_secret", "token_key"}, "PUBLIC_URL"),
        ("gateway", {"feishu_encrypt_key"}, "FEISHU_VERIFICATION_TOKEN"),
        ("gateway", {"oidc_issuer"}, "OIDC_AUDIENCE"),
        ("gateway", {"tls_certificate"}, "TLS_PRIVATE_KEY"),
        ("worker", {"feishu_app_id"}, "FEISHU_APP_SECRET"),
        ("worker", {"generic_url", "generic_webhook_secret"}, "GENERIC_CLIENT_SECRET"),
    ],
)
def test_names_the_setting_that_lacks(service: Any, given: set[str], missing: str) -> None:
    found = [finding for finding in settings.missing(service, given) if finding.severity is Severity.ERROR]
    assert [finding.what for finding in found] == [f"{missing} is not set"]


def test_names_every_mistake_of_the_settings(doctor: Any) -> None:
    found = doctor.wrong("gateway", "settings", PORT="0", LOG_LEVEL="loud")
    assert sorted(finding.what.partition("=")[0] for finding in found) == ["LOG_LEVEL", "PORT"]


class _tls_server:  # noqa: N801 reads as what it opens
    """A listener whose certificate no system knows; ``ca.pem`` in the folder is its authority."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC)
        authority = issue_authority(["localhost"], now)
        server = issue_server(authority, ["localhost"], timedelta(days=30), now)
        for name, content in (("ca.pem", authority.certificate), ("s.pem", server.certificate), ("s.key", server.key)):
            (folder / name).write_bytes(content)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "s.pem", folder / "s.key")

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._context.wrap_socket(raw, server_side=True).close()
            except OSError:
                raw.close()
