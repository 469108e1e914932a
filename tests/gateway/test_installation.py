"""Installing from a browser: the gateway, the platform and Redis on their sockets, and everything that may go wrong between."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from generic.faulty_server import Fault
from prometheus_client import CollectorRegistry

from app.auth.api_keys import ApiKeys
from app.auth.identity import Identities
from app.auth.installation import STARTS_A_MINUTE, InstallationStates, Installer, require_https
from app.auth.installation_feishu import FeishuInstallation
from app.auth.installation_slack import SlackInstallation
from app.auth.token_store import TokenStore
from app.auth.vault import Vault
from app.gateway.application import create_app
from app.gateway.callers import Callers
from app.gateway.installation import COOKIE
from app.gateway.metrics import GatewayMetrics
from app.http.health import Verdict
from app.http.lifecycle import Lifecycle
from app.http.protocol import Limits
from app.http.serve import serving_beside
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.redis_client import connect
from app.platforms.secret_set import SecretSet
from app.platforms.slack.manifest import manifest
from app.settings import RedisSettings, SettingsError
from app.telemetry.audit.record import AuditUnavailable, Detail, Entry
from app.tenants.access import Sources
from tests.gateway.oauth_platform import FEISHU_ID, SECRET, SLACK_ID, OAuthPlatform

PUBLIC_URL = "https://assistant.example.com"
PLATFORMS = ("slack", "feishu")


@dataclass
class Records:
    """The audit log, in memory; an unknown action or detail fails here as it does in the real one."""

    entries: list[Entry] = field(default_factory=list)
    away: bool = False

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: Detail
    ) -> None:
        if self.away:
            raise AuditUnavailable("away")
        self.entries.append(Entry(action=action, actor=actor, tenant=tenant, subject=subject, outcome=outcome, details=details))

    @property
    def actions(self) -> list[str]:
        return [entry.action for entry in self.entries]

    @property
    def reason(self) -> object:
        return self.entries[-1].details.get("reason")


@dataclass
class Browser:
    """Keeps the cookie as a browser does: a secure one over TLS, which the proxy before the gateway would end."""

    gateway: str
    client: httpx2.AsyncClient
    cookie: str = ""

    async def get(self, path: str) -> httpx2.Response:
        headers = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        response = await self.client.get(self.gateway + path, headers=headers)
        for line in response.headers.get_list("set-cookie"):
            self.cookie = line.partition("=")[2].partition(";")[0].strip('"')
        return response

    async def consent(self, started: httpx2.Response) -> str:
        """Where the platform sends the browser, as a path of the gateway."""
        answer = await self.client.get(started.headers["location"])
        assert answer.status_code == 302, answer.text
        return answer.headers["location"].removeprefix(PUBLIC_URL)

    async def install(self, platform: str) -> httpx2.Response:
        return await self.get(await self.consent(await self.get(f"/oauth/{platform}/start")))


@dataclass
class World:
    platform: OAuthPlatform
    records: Records
    store: TokenStore
    redis: Any
    url: str
    client: httpx2.AsyncClient
    tenants: dict[str, str]

    def browser(self) -> Browser:
        return Browser(self.url, self.client)

    async def stored(self, platform: str, team: str) -> Any:
        return (await self.store.read(platform, team)).token


@pytest.fixture
def platform() -> Iterator[OAuthPlatform]:
    running = OAuthPlatform(redirect_uris={f"{PUBLIC_URL}/oauth/{name}/callback" for name in PLATFORMS})
    yield running
    running.stop()


@contextlib.asynccontextmanager
async def serving(
    platform: OAuthPlatform, redis: Any, *, pkce: bool = False, redis_seconds: float = 10.0
) -> AsyncIterator[World]:
    connection = connect(RedisSettings(redis_url=redis.url, redis_password=redis.password, redis_timeout_seconds=redis_seconds))
    vault = Vault(SecretSet(bytes(32)))
    store, records = TokenStore(connection, vault), Records()
    tenants = {"slack:T1": "acme", "feishu:tenant1": "acme"}
    access = Sources(tenants_file=None, roles_file=None, actions=("calendar.create",)).load()

    async def ready() -> Verdict:
        return Verdict()

    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client:
        slack = SlackInstallation(
            client,
            client_id=SLACK_ID,
            client_secret=SECRET,
            api_url=f"{platform.url}/api/",
            authorize_url=f"{platform.url}/oauth/v2/authorize",
            pkce=pkce,
        )
        feishu = FeishuInstallation(
            client, app_id=FEISHU_ID, app_secret=SECRET, url=platform.url, accounts_url=f"{platform.url}/"
        )
        installer = Installer(
            PUBLIC_URL + "/",
            (slack, feishu),
            states=InstallationStates(connection, vault),
            store=store,
            tenant_of=lambda name, team: tenants.get(f"{name}:{team}"),
            audit=records,
        )
        app = create_app(
            callers=Callers(Identities(ApiKeys.parse("k" * 32), lambda: access), lambda: access),
            platforms={},
            queue=MemoryQueue(),
            answerer=None,  # type: ignore[arg-type]
            readiness=ready,  # type: ignore[arg-type]
            lifecycle=Lifecycle(),
            metrics=GatewayMetrics(CollectorRegistry()),
            installer=installer,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with serving_beside(app, "127.0.0.1", port, Limits()):
            yield World(platform, records, store, redis, f"http://127.0.0.1:{port}", client, tenants)
        await installer.aclose()
    await connection.close()


@pytest.fixture
async def world(platform: OAuthPlatform, redis_server: Any) -> AsyncIterator[World]:
    redis_server.command("FLUSHALL")
    async with serving(platform, redis_server) as made:
        yield made


@pytest.mark.parametrize(("name", "team"), [("slack", "T1"), ("feishu", "tenant1")])
async def test_a_team_installs_and_its_token_is_stored_sealed(world: World, name: str, team: str) -> None:
    response = await world.browser().install(name)
    assert response.status_code == 200, response.text
    assert "The assistant is installed" in response.text
    stored = await world.stored(name, team)
    assert stored.token == {"slack": "xoxb-installed", "feishu": "t-tenant"}[name]
    assert "installed" not in str(world.redis.command("HGETALL", f"{{assistant}}:token:{name}:{team}"))
    assert world.records.actions == ["install.started", "install.finished", "install.finished"]
    assert [entry.outcome for entry in world.records.entries[1:]] == ["begun", "done"]
    assert (world.records.entries[-1].tenant, world.records.entries[-1].subject) == ("acme", team)


async def test_slack_s_rotating_pair_is_kept_whole_and_a_static_token_never_expires(world: World) -> None:
    await world.browser().install("slack")
    stored = await world.stored("slack", "T1")
    assert stored.refresh_token == "xoxe-1-installed"
    assert 43_000 < stored.expires_in <= 43_200
    world.platform.rotation = False
    await world.browser().install("slack")
    stored = await world.stored("slack", "T1")
    assert stored.refresh_token is None and stored.expires_in == float("inf")


async def test_the_browser_goes_to_the_platform_with_state_and_the_only_redirect_uri(world: World) -> None:
    started = await world.browser().get("/oauth/slack/start")
    assert started.status_code == 302
    target = urlsplit(started.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{world.platform.url}/oauth/v2/authorize"
    query = parse_qs(target.query)
    assert query["client_id"] == [SLACK_ID]
    assert query["redirect_uri"] == [f"{PUBLIC_URL}/oauth/slack/callback"]
    assert query["scope"][0].split(",") == manifest(url=PUBLIC_URL)["oauth_config"]["scopes"]["bot"]
    assert re.fullmatch(r"[\w-]{43}", query["state"][0])
    assert "code_challenge" not in query
    assert SECRET not in started.headers["location"]


async def test_feishu_is_asked_with_pkce(world: World) -> None:
    started = await world.browser().get("/oauth/feishu/start")
    query = parse_qs(urlsplit(started.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert re.fullmatch(r"[\w-]{43}", query["code_challenge"][0])
    assert query["response_type"] == ["code"]


async def test_slack_is_asked_with_pkce_where_its_application_has_it_on(platform: OAuthPlatform, redis_server: Any) -> None:
    redis_server.command("FLUSHALL")
    async with serving(platform, redis_server, pkce=True) as world:
        assert (await world.browser().install("slack")).status_code == 200
    assert platform.codes["code-1"].challenge
    assert platform.forms[0]["code_verifier"]


async def test_the_cookie_is_bound_to_this_host_and_to_no_script(world: World) -> None:
    browser = world.browser()
    started = await browser.get("/oauth/slack/start")
    name, _, rest = started.headers["set-cookie"].partition("=")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name.startswith("__Host-")
    assert attributes == {"httponly", "secure", "path=/", "samesite=lax", "max-age=600"}
    done = await browser.get(await browser.consent(started))
    assert "max-age=0" in done.headers["set-cookie"].lower()


async def test_neither_state_nor_cookie_nor_verifier_lies_in_redis_in_plain(world: World) -> None:
    browser = world.browser()
    started = await browser.get("/oauth/feishu/start")
    state = parse_qs(urlsplit(started.headers["location"]).query)["state"][0]
    keys = [str(key) for key in world.redis.command("KEYS", "*oauth:state*")]  # type: ignore[union-attr]
    assert keys == [f"{{assistant}}:oauth:state:{hashlib.sha256(state.encode()).hexdigest()}"]
    assert 590_000 < world.redis.command("PTTL", keys[0]) <= 600_000
    assert str(world.redis.command("GET", keys[0])).startswith("v1.")


async def test_the_page_runs_nothing_and_shows_what_the_platform_sends_as_text(world: World) -> None:
    response = await world.browser().install("slack")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "Team &amp; &lt;b&gt;Co&lt;/b&gt; (T1)" in response.text
    assert "<b>" not in response.text and "<script" not in response.text
    assert response.headers["cache-control"] == "no-store"


async def refused(world: World, response: httpx2.Response, status: int, reason: str, words: str) -> None:
    assert response.status_code == status, response.text
    assert re.search(words, response.text), response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert (world.records.actions[-1], world.records.reason) == ("install.refused", reason)
    assert world.redis.command("KEYS", "*:token:*") == []


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"code": "code-1"}, "state_missing"),
        ({"code": "code-1", "state": ""}, "state_missing"),
        ({"code": "code-1", "state": "x" * 129}, "state_missing"),
        ({"code": "code-1", "state": "x" * 43}, "state_unknown"),
        ({"code": "code-1", "state": "\ud800é\x00".encode("utf-8", "replace").decode()}, "state_unknown"),
        ({"error": "access_denied"}, "state_missing"),
    ],
)
async def test_a_wrong_or_missing_state_is_refused(world: World, name: str, query: dict[str, str], reason: str) -> None:
    browser = world.browser()
    await browser.get(f"/oauth/{name}/start")
    await refused(world, await browser.get(f"/oauth/{name}/callback?{urlencode(query)}"), 400, reason, "Begin the installation")
    assert world.platform.forms == []


async def test_a_state_that_comes_twice_in_one_address_is_refused(world: World) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get("/oauth/slack/start"))
    state = parse_qs(urlsplit(back).query)["state"][0]
    await refused(world, await browser.get(f"{back}&state={state}"), 400, "state_missing", "Begin the installation")


async def test_a_state_is_good_for_one_use(world: World) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get("/oauth/slack/start"))
    cookie = browser.cookie
    assert (await browser.get(back)).status_code == 200
    browser.cookie = cookie
    again = await browser.get(back)
    assert again.status_code == 400 and "finished already" in again.text
    assert world.records.reason == "state_unknown"
    assert len(world.platform.forms) == 1


async def test_another_browser_cannot_finish_it_and_uses_the_state_up(world: World) -> None:
    victim, attacker = world.browser(), world.browser()
    back = await attacker.consent(await attacker.get("/oauth/slack/start"))
    await victim.get("/oauth/slack/start")
    await refused(world, await victim.get(back), 400, "other_browser", "begun in another browser")
    await refused(world, await attacker.get(back), 400, "state_unknown", "unknown")
    assert world.platform.forms == []


async def test_a_browser_without_the_cookie_cannot_finish_it(world: World) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get("/oauth/slack/start"))
    browser.cookie = ""
    await refused(world, await browser.get(back), 400, "other_browser", "another browser")


async def test_an_answer_of_one_platform_is_not_taken_for_another_s(world: World) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get("/oauth/slack/start"))
    await refused(world, await browser.get(back.replace("slack", "feishu")), 400, "state_unknown", "unknown")


@pytest.mark.parametrize("name", PLATFORMS)
async def test_a_code_that_was_used_is_refused_by_the_platform_and_shown_so(world: World, name: str) -> None:
    first, second = world.browser(), world.browser()
    await first.install(name)
    world.redis.command("FLUSHALL")
    back = await second.consent(await second.get(f"/oauth/{name}/start"))
    reused = re.sub(r"code-\d+", "code-1", back)
    await refused(world, await second.get(reused), 400, "code_refused", "used already or is too old")


@pytest.mark.parametrize(("name", "words"), [("slack", "invalid_code"), ("feishu", "20003")])
async def test_a_code_that_the_platform_does_not_know_is_refused(world: World, name: str, words: str) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get(f"/oauth/{name}/start"))
    await refused(world, await browser.get(re.sub(r"code-\d+", "forged", back)), 400, "code_refused", words)


async def test_a_code_from_another_installation_fails_at_pkce(world: World) -> None:
    attacker, victim = world.browser(), world.browser()
    stolen = parse_qs(urlsplit(await attacker.consent(await attacker.get("/oauth/feishu/start"))).query)["code"][0]
    back = await victim.consent(await victim.get("/oauth/feishu/start"))
    injected = re.sub(r"code-\d+", stolen, back)
    await refused(world, await victim.get(injected), 502, "platform_refused", "20049.*proof of PKCE")


@pytest.mark.parametrize("named", ["https://evil.example/oauth/slack/callback", f"{PUBLIC_URL}/oauth/slack/callback/", "", "x"])
async def test_another_redirect_uri_is_refused(world: World, named: str) -> None:
    response = await world.browser().get(f"/oauth/slack/start?{urlencode({'redirect_uri': named})}")
    await refused(world, response, 400, "wrong_redirect_uri", f"only redirect URI of this assistant is {PUBLIC_URL}")
    assert "set-cookie" not in response.headers


async def test_the_own_redirect_uri_may_be_named(world: World) -> None:
    named = urlencode({"redirect_uri": f"{PUBLIC_URL}/oauth/slack/callback"})
    assert (await world.browser().get(f"/oauth/slack/start?{named}")).status_code == 302


async def test_a_redirect_uri_that_is_not_entered_at_the_platform_is_refused_there(world: World) -> None:
    world.platform.redirect_uris.clear()
    started = await world.browser().get("/oauth/slack/start")
    answer = await world.client.get(started.headers["location"])
    assert answer.status_code == 400 and "redirect_uri did not match" in answer.text


@pytest.mark.parametrize("name", PLATFORMS)
async def test_who_declines_is_told_that_nothing_was_installed(world: World, name: str) -> None:
    world.platform.consents = False
    await refused(world, await world.browser().install(name), 400, "access_denied", "consent was not given, so nothing")


@pytest.mark.parametrize(("error", "words"), [("server_error", "server_error"), ("<script>", "an unknown error")])
async def test_another_error_of_the_platform_is_named_if_it_is_a_word(world: World, error: str, words: str) -> None:
    browser = world.browser()
    state = parse_qs(urlsplit((await browser.get("/oauth/slack/start")).headers["location"]).query)["state"][0]
    response = await browser.get(f"/oauth/slack/callback?{urlencode({'error': error, 'state': state})}")
    await refused(world, response, 400, "platform_error", words)
    assert "<script" not in response.text


async def test_a_missing_code_is_refused(world: World) -> None:
    browser = world.browser()
    state = parse_qs(urlsplit((await browser.get("/oauth/slack/start")).headers["location"]).query)["state"][0]
    await refused(world, await browser.get(f"/oauth/slack/callback?state={state}"), 400, "code_missing", "sent no code")


@pytest.mark.parametrize("name", PLATFORMS)
async def test_a_team_that_no_tenant_lists_is_refused_and_nothing_is_stored(world: World, name: str) -> None:
    world.tenants.clear()
    await refused(world, await world.browser().install(name), 403, "unknown_team", "not among those that this assistant serves")
    assert world.platform.revoked == (["xoxb-installed"] if name == "slack" else [])


async def test_a_whole_organisation_is_refused_with_what_to_choose(world: World) -> None:
    world.platform.team, world.platform.more = None, {"is_enterprise_install": True}
    await refused(world, await world.browser().install("slack"), 400, "organisation", "choose one workspace")


async def test_a_team_whose_name_could_not_be_a_key_is_refused(world: World) -> None:
    world.platform.team = {"id": "T1:T2", "name": "x"}
    await refused(world, await world.browser().install("slack"), 502, "team_malformed", "did not say for which team")


async def test_a_token_that_is_no_bot_s_is_refused(world: World) -> None:
    world.platform.more = {"token_type": "user"}
    await refused(world, await world.browser().install("slack"), 502, "platform_unavailable", "not a bot")


@pytest.mark.parametrize("path", ["/api/oauth.v2.access", "/open-apis/authen/v2/oauth/token", "/open-apis/authen/v1/user_info"])
@pytest.mark.parametrize("kind", ["status", "reset", "garbage", "redirect"])
async def test_a_platform_that_fails_is_told_so(world: World, path: str, kind: Any) -> None:
    world.platform.faults.append(Fault(path, kind))
    name = "slack" if path.startswith("/api") else "feishu"
    await refused(world, await world.browser().install(name), 502, "platform_unavailable", "no usable answer")
    assert not world.platform.faults


async def test_an_unknown_platform_is_not_found(world: World) -> None:
    for path in ("/oauth/teams/start", "/oauth/teams/callback?state=x&code=y", "/oauth/%3Cb%3E/start"):
        response = await world.browser().get(path)
        assert response.status_code == 404 and "feishu, slack" in response.text
    assert [entry.details["platform"] for entry in world.records.entries] == ["unknown"]  # one, and a count a minute later


async def test_beginnings_are_bounded(world: World) -> None:
    world.redis.command("SET", "{assistant}:oauth:starts", STARTS_A_MINUTE - 1, "PX", 60_000)
    assert (await world.browser().get("/oauth/slack/start")).status_code == 302
    await refused(world, await world.browser().get("/oauth/slack/start"), 429, "too_many", "Try again in a minute")


async def test_nothing_begins_that_cannot_be_recorded(world: World) -> None:
    world.records.away = True
    response = await world.browser().get("/oauth/slack/start")
    assert response.status_code == 503 and "set-cookie" not in response.headers
    assert world.redis.command("KEYS", "*oauth:state*") == []


async def test_nothing_is_stored_that_cannot_be_recorded(world: World) -> None:
    browser = world.browser()
    back = await browser.consent(await browser.get("/oauth/slack/start"))
    world.records.away = True
    response = await browser.get(back)
    assert response.status_code == 503 and "could not be stored" in response.text
    assert await world.stored("slack", "T1") is None


async def test_a_stream_of_refusals_is_counted_rather_than_recorded_each(world: World) -> None:
    for number in range(5):
        await world.browser().get(f"/oauth/slack/callback?state={number}&code=x")
    assert world.records.actions == ["install.refused"]


async def test_without_redis_both_pages_say_that_it_is_for_a_while(platform: OAuthPlatform, private_redis: Any) -> None:
    async with serving(platform, private_redis, redis_seconds=0.2) as world:
        browser = world.browser()
        back = await browser.consent(await browser.get("/oauth/slack/start"))
        private_redis.pause()
        for path in ("/oauth/slack/start", back):
            response = await browser.get(path)
            assert response.status_code == 503 and "default-src 'none'" in response.headers["content-security-policy"]
        private_redis.resume()
    assert platform.forms == []


async def test_only_get_is_taken_and_no_body(world: World) -> None:
    assert (await world.client.post(f"{world.url}/oauth/slack/start")).status_code == 405
    response = await world.client.request("GET", f"{world.url}/oauth/slack/start", content=b"x")
    assert response.status_code == 413


def test_a_gateway_without_installations_says_so(gateway: Any) -> None:
    for path in ("/oauth/slack/start", "/oauth/slack/callback?state=x&code=y"):
        response = gateway.client.get(path)
        assert response.status_code == 404 and "not set up" in response.text


def test_addresses_without_tls_are_refused_but_for_this_machine_s() -> None:
    for url in ("https://accounts.feishu.cn", "http://127.0.0.1:8080", "http://localhost"):
        require_https("FEISHU_ACCOUNTS_URL", url)
    for url in ("http://accounts.feishu.cn", "http://127.0.0.1.example.com", "ftp://a.example"):
        with pytest.raises(SettingsError, match=r"FEISHU_ACCOUNTS_URL=.*https:// address is expected"):
            require_https("FEISHU_ACCOUNTS_URL", url)
