"""A stack's configuration: what is accepted, and what a person is told about what is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from infra.profiles import PROFILES
from infra.settings import TARGET_OF_STACK
from infra.settings_reader import SettingsMistakes, allowed, setting_keys, settings_from
from infra.targets.local import listeners

CHECKOUT = Path(__file__).resolve().parents[2]


def mistakes(config: dict[str, object], stack: str = "local", secret: frozenset[str] = frozenset()) -> str:
    text = {f"assistant:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    with pytest.raises(SettingsMistakes) as raised:
        settings_from(text, stack, frozenset(f"assistant:{key}" for key in secret))
    return str(raised.value)


def test_the_local_stack_needs_no_configuration() -> None:
    settings = settings_from({}, "local")
    assert settings.target == "local"
    assert settings.state_directory == Path(".state/local")
    assert listeners(settings) == {"gateway": 8443, "inference": 8080, "redis": 6390, "worker": 8081}
    assert settings.platforms.connected == ()


def test_numbers_are_taken_as_the_command_line_writes_them() -> None:
    # `pulumi config set --path` stores numbers, a stack file by hand may quote them; both arrive as JSON or text.
    settings = settings_from({"assistant:ports": '{"gateway": "9443", "redis": 6400}'}, "local")
    assert (settings.ports.gateway, settings.ports.redis) == (9443, 6400)


def test_a_stack_of_another_name_says_its_target() -> None:
    assert settings_from({"assistant:target": "local"}, "test-abc").state_directory == Path(".state/test-abc")
    told = mistakes({}, stack="test-abc")
    assert "assistant:target is required for a stack named 'test-abc'" in told
    assert "KEY=target VALUE=local" in told


def test_keys_of_providers_and_of_the_engine_are_left_alone() -> None:
    settings_from({"aws:region": "eu-central-1", "pulumi:tags": "{}"}, "local")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"prots": {"gateway": 1}}, "assistant:prots is not a setting. Did you mean assistant:ports?"),
        ({"ports": {"gatway": 1}}, "assistant:ports.gatway is not a setting. Did you mean assistant:ports.gateway?"),
        ({"loglevel": "info"}, "assistant:loglevel is not a setting. Did you mean assistant:logLevel?"),
        ({"precision": "int8"}, "assistant:precision is not a setting. Did you mean assistant:model.precision?"),
        ({"zzzzzz": "1"}, "assistant:zzzzzz is not a setting. Known are: target, profile, stateDirectory, ports, model,"),
        ({"ports": {"gateway": 70000}}, "assistant:ports.gateway is 70000. Allowed: a whole number from 1 to 65535."),
        ({"ports": {"gateway": "https"}}, 'assistant:ports.gateway is "https". Allowed: a whole number from 1 to 65535.'),
        ({"ports": {"gateway": 8080}}, "assistant:ports: one port is given twice: 8080 for gateway and inference"),
        ({"ports": "8443"}, 'assistant:ports is "8443". Allowed: a group of settings: ports.gateway, ports.inference,'),
        ({"logLevel": "verbose"}, 'assistant:logLevel is "verbose". Allowed: debug, info, warning or error.'),
        ({"inference": {"device": "tpu"}}, 'assistant:inference.device is "tpu". Allowed: cpu or cuda.'),
        ({"inference": {"threads": 0}}, "assistant:inference.threads is 0. Allowed: a whole number from 1 to 256; left out"),
        ({"model": {"precision": "q4"}}, 'assistant:model.precision is "q4". Allowed: fp32 or int8.'),
        ({"model": {"source": "ftp://x/y"}}, "assistant:model: source 'ftp://x/y': ftp: is unknown"),
        ({"model": {"source": "file:/x.gguf"}}, "assistant:model: source 'file:/x.gguf' needs --sha256"),
        ({"model": {"maxKl": -1}}, "assistant:model.maxKl is -1. Allowed: nats, more than 0 and at most 1."),
        ({"worker": {"maxAttempts": 99}}, "assistant:worker.maxAttempts is 99. Allowed: a whole number from 1 to 10."),
        (
            {"platforms": {"generic": {"url": "localhost"}}},
            'assistant:platforms.generic.url is "localhost". Allowed: an address',
        ),
        (
            {"certificate": {"hosts": ["*.a.example"]}},
            'assistant:certificate.hosts.0 is "*.a.example". Neither a host name nor',
        ),
        ({"certificate": {"validityDays": 10}}, "renewBeforeDays (30) must be smaller than validityDays (10)"),
        ({"platforms": {"slack": {"transport": "rtm"}}}, 'slack.transport is "rtm". Allowed: webhook or socketMode.'),
        (
            {"platforms": {"slack": {"clientId": 12.34}}},
            "slack.clientId is 12.34. Allowed: the application's client id",
        ),
        (
            {"platforms": {"slack": "yes"}},
            'platforms.slack is "yes". Allowed: a group of settings: platforms.slack.appId,',
        ),
        ({"platforms": {"slak": {}}}, "assistant:platforms.slak is not a setting. Did you mean assistant:platforms.slack"),
        ({"platforms": {"feishu": {}}}, "assistant:platforms.feishu.appId is missing. Allowed: the application's id, cli_…"),
        ({"platforms": {"feishu": {"appId": "cli_a", "url": "open.feishu.cn"}}}, "Allowed: an address that starts with http"),
        ({"answers": {"contextTurns": -1}}, "answers.contextTurns is -1. Allowed: a whole number from 0 (no context) to 100."),
        (
            {"identityProvider": {"issuer": "https://a.example"}},
            "identityProvider.audience belong together: give both",
        ),
        ({"publicUrl": "http://a.example/x"}, 'assistant:publicUrl is "http://a.example/x". Allowed: the address under which'),
        ({"ports": {"worker": 8086}}, "assistant:ports: one port is given twice: 8086 for worker and transportSlack"),
        ({"secretVersions": {"apiKey": 0}}, "assistant:secretVersions.apiKey is 0. Allowed: a whole number from 1."),
    ],
)
def test_a_mistake_names_the_key_what_came_and_what_is_allowed(config: dict[str, object], told: str) -> None:
    assert told in mistakes(config)


def test_a_platform_is_set_up_where_its_section_stands_also_by_make_set() -> None:
    for section in ("{}", {}):
        settings = settings_from({"assistant:platforms": json.dumps({"slack": section})}, "local")
        assert settings.platforms.connected == ("slack",)
        assert settings.platforms.slack is not None
        assert settings.platforms.slack.transport == "webhook"


def test_a_secret_of_tenants_is_a_clusters_alone() -> None:
    assert "access.secret is read by the target cluster or eks alone" in mistakes({"access": {"secret": "x"}})


def test_an_emulator_on_this_machine_is_no_pods_platform() -> None:
    slack = {"platforms": {"slack": {"apiUrl": "http://127.0.0.1:9/api/"}}}
    assert "platforms.slack.apiUrl is" in mistakes(slack, stack="cluster")


def test_all_mistakes_are_told_at_once_also_those_between_settings() -> None:
    told = mistakes(
        {"logLevel": "loud", "ports": {"inference": 0, "redis": 8443}, "certificate": {"validityDays": 5}, "x": "1"}
    )
    assert "has 5 mistakes:" in told
    for key in ("logLevel", "ports.inference", "ports: one port is given twice", "certificate: renewBeforeDays", "x is not"):
        assert f"assistant:{key}" in told
    assert "stacks/Pulumi.local.yaml" in told


def test_the_value_of_a_secret_is_never_repeated() -> None:
    told = mistakes({"logLevel": "canary-secret"}, secret=frozenset({"logLevel"}))
    assert "canary-secret" not in told
    assert "assistant:logLevel is (a secret, not shown)" in told


def test_a_long_value_is_cut() -> None:
    assert len(mistakes({"logLevel": "x" * 5000})) < 1000


def test_settings_are_frozen() -> None:
    settings = settings_from({}, "local")
    with pytest.raises(ValidationError, match="frozen"):
        settings.log_level = "debug"


def test_every_setting_says_what_is_allowed() -> None:
    for key in setting_keys():
        assert not re.search(r"typing|class |see docs", allowed(key)), key


def test_the_documentation_has_a_row_for_every_setting_and_no_other() -> None:
    page = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)) == set(setting_keys())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"cluster": {"namespace": "Team A"}}, 'assistant:cluster.namespace is "Team A". Allowed: lower case letters'),
        (
            {"cluster": {"namespace": "kube-system"}},
            'assistant:cluster.namespace is "kube-system". That namespace is everybody\'s',
        ),
        (
            {"images": {"gateway": "gateway:latest"}},
            'assistant:images.gateway is "gateway:latest". Allowed: a published image by',
        ),
        ({"exposure": {"kind": "ingress"}}, "assistant:exposure: exposure.kind ingress needs exposure.host"),
        ({"exposure": {"serviceType": "NodePort"}}, "NodePort needs exposure.host, a node's address, and exposure.nodePort"),
        ({"redis": {"cluster": True}}, "assistant:redis: redis.passwordSecret and redis.cluster describe an external Redis"),
        ({"resources": {"gateway": {"memory": "lots"}}}, 'assistant:resources.gateway.memory is "lots". Allowed: bytes: 512Mi'),
        ({"autoscaling": {"worker": {"minimum": 20}}}, "maximum (10) must be at least 1 and not below minimum (20)"),
    ],
)
def test_a_mistake_in_a_clusters_settings_is_told_in_the_same_words(config: dict[str, object], told: str) -> None:
    assert told in mistakes(config, stack="cluster")


def test_what_a_pod_would_look_for_in_itself_is_refused_for_a_cluster_and_for_nothing_else() -> None:
    config: dict[str, object] = {
        "platforms": {"generic": {"url": "http://127.0.0.1:8090"}},
        "redis": {"url": "redis://localhost:6379"},
        "model": {"source": "file:/m.gguf", "sha256": "a" * 64},
    }
    told = mistakes(config, stack="cluster")
    assert "has 3 mistakes:" in told
    for key in ("platforms.generic.url", "redis.url", "model.source"):
        assert f"assistant:{key} is " in told
    text = {f"assistant:{key}": json.dumps(value) for key, value in config.items()}
    assert settings_from(text, "local").target == "local"


def example(stack: str, *, with_comments: bool) -> dict[str, str]:
    """What the tracked example of a stack sets, in Pulumi's own form; ``with_comments``: and what its #: lines show."""
    text = (CHECKOUT / "stacks" / f"{stack}.example.yaml").read_text(encoding="utf-8")
    if with_comments:
        text = "\n".join(re.sub(r"^(\s*)#: ?", r"\1", line) for line in text.splitlines())
    config = (yaml.safe_load(text) or {}).get("config") or {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


@pytest.mark.parametrize("stack", ["local", "cluster"])
@pytest.mark.parametrize("with_comments", [False, True])
def test_the_example_is_valid_and_shows_the_defaults(stack: str, with_comments: bool) -> None:
    assert settings_from(example(stack, with_comments=with_comments), stack) == settings_from({}, stack)


def test_the_examples_show_every_group_of_settings_that_their_target_reads() -> None:
    shown = {
        stack: {key.removeprefix("assistant:") for key in example(stack, with_comments=True)} for stack in ("local", "cluster")
    }
    assert shown["local"] >= {"ports", "model", "inference", "worker", "platforms"}
    assert shown["cluster"] >= {"cluster", "exposure", "storage", "resources", "autoscaling", "monitoring", "model", "worker"}
    assert "ports" not in shown["cluster"]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"redis": {"memory": "512m"}}, "512Mi, 10Gi"),  # half a byte
        ({"redis": {"memory": "2"}}, "512Mi, 10Gi"),
        ({"worker": {"cpu": "2", "cpuLimit": "500m"}}, "cpu (2) must not be above cpuLimit (500m)"),
    ],
)
def test_resources_that_no_pod_could_run_with_are_refused(resources: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsMistakes, match=re.escape(words)):
        settings_from({"assistant:resources": json.dumps(resources)}, "cluster")


AWS: dict[str, object] = {
    "edge": {"domain": "assistant.example.com", "zone": "example.com"},
    "eks": {"deployerCidrs": ["203.0.113.0/24"]},
}


def on_aws(config: dict[str, object], stack: str = "prod") -> dict[str, str]:
    given = {key: value for key, value in AWS.items() if key != "eks" or stack != "serverless"} | config
    return {f"assistant:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}


@pytest.mark.parametrize("stack", PROFILES)
def test_an_environment_is_valid_with_its_domain_and_who_deploys(stack: str) -> None:
    settings = settings_from(on_aws({}, stack), stack)
    assert settings.target == TARGET_OF_STACK[stack]


def test_a_profile_fills_what_the_stack_does_not_say_and_no_more() -> None:
    settings = settings_from(on_aws({"network": {"nat": "one"}}), "prod")
    assert (settings.network.nat, settings.network.zones) == ("one", 3)  # the stack's, the profile's
    assert (settings.memorydb.shards, settings.memorydb.replicas) == (1, 2)  # the default's, the profile's
    assert settings.protection
    other = settings_from(on_aws({"profile": "dev"}), "alice")
    assert (other.target, other.network.zones, other.protection) == ("eks", 2, False)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"network": {"cidr": "172.20.0.0/16"}},
            "assistant:network.cidr (172.20.0.0/16) and assistant:eks.serviceCidr (172.20.0.0/16) overlap.",
        ),
        ({"network": {"peers": ["10.40.128.0/20"]}}, "and assistant:network.peers.0 (10.40.128.0/20) overlap."),
        ({"network": {"cidr": "10.0.0.0/8"}}, 'network.cidr is "10.0.0.0/8". A VPC\'s network here is a /16 to /20. Allowed:'),
        ({"network": {"cidr": "8.8.0.0/16"}}, "Not a private network"),
        ({"network": {"vpcId": "vpc-0a"}}, "network.vpcId, network.privateSubnetIds and network.publicSubnetIds, all three"),
        (
            {"gpuPools": [{"name": "gpu", "instanceTypes": ["g6.xlrge"]}]},
            'gpuPools.0.instanceTypes.0 is "g6.xlrge". No instance type with NVIDIA GPUs that is known here; near it: g6.',
        ),
        ({"gpuPools": [{"name": "gpu", "instanceTypes": ["g6.xlarge"], "minimum": 3, "maximum": 1}]}, "not below minimum (3)"),
        ({"gpuPools": [{"name": "gpu", "instanceTypes": ["g6.xlarge"], "capacity": "capacityBlock"}]}, "belong together"),
        ({"gpuPools": [{"name": "gpu", "instanceTypes": ["g6.xlarge", "g5g.xlarge"]}]}, "of arm64 and x86_64: one is allowed"),
        ({"gpuPools": [{"name": "a", "instanceTypes": ["g6.xlarge"]}] * 2}, "assistant:gpuPools names a twice."),
        ({"edge": {"domain": "*.example.com", "zone": "example.com"}}, 'edge.domain is "*.example.com". Neither a host name'),
        ({"edge": {"domain": "a.example.org", "zone": "example.com"}}, "does not lie in edge.zone"),
        ({"edge": {"domain": "a.example.com"}}, "assistant:edge.zone is missing"),
        ({"eks": {"deployerCidrs": ["0.0.0.0/0"]}}, "The API server must not be open to the world"),
        ({"eks": {}}, "assistant:eks.deployerCidrs is missing"),
        ({"eks": {"deployerCidrs": ["203.0.113.0/24"], "systemPool": {"minimum": 9}}}, "not above maximum (6)"),
        ({"inference": {"device": "cuda"}}, "assistant:inference.device is cuda, and the stack has no GPUs."),
        ({"retention": {"logsDays": 31}}, "retention.logsDays is 31. Not a period that CloudWatch Logs knows."),
        ({"audit": {"trail": "external"}}, "audit.trail external and audit.externalTrailArn belong together"),
        ({"exposure": {"kind": "ingress", "host": "a.example.com"}}, "assistant:exposure is read by the target cluster alone"),
        (
            {"fargate": {"spotWorkers": True}},
            "assistant:fargate is read by the target fargate alone, and this stack is for eks.",
        ),
        ({"publicUrl": "https://a.example"}, "assistant:publicUrl is read by the target local or cluster alone"),
        ({"ekz": {}}, "assistant:ekz is not a setting. Did you mean assistant:eks"),
    ],
)
def test_a_mistake_in_the_settings_of_aws_is_told_in_the_same_words(config: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsMistakes) as raised:
        settings_from(on_aws(config), "prod")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"cpu": 256, "memory": 4096}, "256 CPU units go with 512 to 2048 MiB on Fargate"),
        ({"cpu": 300}, "fargate.gateway.cpu is 300. Allowed: 256, 512"),
        ({"minimum": 5}, "maximum (4) must be at least 1 and not below minimum (5)"),
    ],
)
def test_a_task_that_fargate_would_not_run_is_refused(task: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsMistakes) as raised:
        settings_from(on_aws({"fargate": {"gateway": task}}, "serverless"), "serverless")
    assert told in str(raised.value)


def test_a_wrong_value_is_not_called_missing_besides() -> None:
    with pytest.raises(SettingsMistakes) as raised:
        settings_from(on_aws({"eks": {"deployerCidrs": ["0.0.0.0/0"]}, "edge": {"domain": "*.a.example"}}), "prod")
    assert "is missing" not in str(raised.value)
    assert "has 2 mistakes" in str(raised.value)
