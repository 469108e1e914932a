"""What the cases of the local target's rules do not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.processes import ENTRIES
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE
from policies.local_types import PROCESS
from policies.resource import Resource, Stack
from policies.rule import Outcome, Rule, Verdict, all_of, judge_stack
from policies.rule import judge as judge_check
from policies.rules import RULES
from policies.rules.application import Route, exposed, gateway_routes, oldest_tls, tls_source
from policies.values import Secret

ALL = {rule.id: rule for rule in RULES}
REDIS_CONF, USERS = f"configurationFiles/{CONFIGURATION_FILE}", f"configurationFiles/{ACCESS_FILE}"


def judge(rule: Rule, resource: Resource) -> Verdict:
    return all_of(judge_check(check, resource) for check in rule.checks if not check.types or resource.type in check.types)


def of_stack(rule: Rule, *resources: Resource) -> Verdict:
    return all_of(finding.verdict for relation in rule.relations for finding in judge_stack(relation, Stack(resources)))


def test_marked_secrets_are_as_they_should_be(make) -> None:
    for path in ("values", "configurationFiles", "environment"):
        resource = make("gateway", {path: {"api_key": Secret("hunter2"), "nested": Secret({"token": ["hunter2"]})}})
        assert judge(ALL["R06"], resource).outcome is Outcome.PASS
        assert of_stack(ALL["L01"], resource).outcome is Outcome.PASS
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


@pytest.mark.parametrize("entry", ENTRIES.values())
def test_a_transport_listens_for_its_probes_on_this_machine_alone(make, entry: str) -> None:
    command = {"command": ["python", "-m", entry]}
    assert judge(ALL["L02"], make("worker", command)).outcome is Outcome.PASS
    assert judge(ALL["L02"], make("worker", {**command, "environment/HOST": "10.0.0.9"})).outcome is Outcome.FAIL


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
    assert PROCESS in ALL["R75"].reads()
