"""The pack in the real engine: what a user sees, what stops, and what must not be seen."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import replace

import pytest

from policies import record
from policies.rule import Outcome
from policies.values import SECRET, SIGNATURE, Secret
from tools.aws.standins import on_standins
from tools.pulumi.environment import CHECKOUT
from tools.stack.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

# A resource of the local target's type whose provider only leaves a trace of having been called.
PRELUDE = """
import pathlib
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    serialize_as_secret_always = False
    def create(self, props):
        pathlib.Path({trace!r}).touch()
        return CreateResult("id", {{**props, "generated": {secret!r}}})

class Process(Resource, module="local", name="Process"):
    generated: pulumi.Output[str]
    def __init__(self, name, opts=None, **props):
        super().__init__(Provider(), name, {{**props, "generated": None}}, opts)

good = {good!r}
"""
MARKED = 'pulumi.ResourceOptions(additional_secret_outputs=["generated"])'


@pytest.fixture
def write(project, make, canary):
    """``write(lines)``: a program with a good worker's properties as ``good``."""

    def written(*lines: str) -> None:
        good = dict(make("worker").properties)
        trace = str(project.folder / "created")
        project.program(PRELUDE.format(trace=trace, secret=canary, good=good) + "\n".join(lines) + "\n")

    return written


def test_a_good_program_passes_preview_and_update_and_marked_secrets_are_not_reported(project, write, canary) -> None:
    write(
        f'first = Process("worker", {MARKED}, **good)',
        'environment = {**good["environment"], "NOTE": first.generated}',
        f'Process("second", {MARKED}, **{{**good, "environment": environment}})',
        'pulumi.export("apiKey", first.generated)',
        'pulumi.export("webhookSecrets", {"generic": pulumi.Output.secret("hunter2")})',
    )
    preview = project.preview()
    assert preview.returncode == 0, preview.stdout
    assert "FAILED" not in preview.stdout
    # The first preview cannot know yet whether the export will be marked, and says so.
    assert "[advisory] [severity: critical]  L01-no-plain-secret-output" in preview.stdout
    assert "apiKey: not known before the update" in preview.stdout
    up = project.up()
    assert up.returncode == 0, up.stdout
    assert "L01" not in up.stdout
    again = project.preview()
    assert "L01" not in again.stdout
    for screen in (preview, up, again):
        assert canary not in screen.stdout
        assert "hunter2" not in screen.stdout


def test_a_preview_fails_with_rule_resource_control_and_remedy(project, write, canary) -> None:
    write(
        'environment = {**good["environment"], "HOST": "0.0.0.0", "NOTE": ' + repr(canary) + "}",
        'Process("leaky", **{**good, "environment": environment})',
        'Process("odd", process=7, command={"a": [1]}, environment="none", check=[], stopSeconds="soon")',
    )
    preview = project.preview()
    assert preview.returncode != 0
    for words in (
        "[mandatory] [severity: high]  L02-internal-services-loopback  (pulumi-python:dynamic/local:Process: leaky)",
        "environment.HOST is 0.0.0.0",
        "rule: L02, ISO/IEC 27001:2022 A.8.20, A.8.22",
        "remedy: set HOST=127.0.0.1",
        "[mandatory] [severity: critical]  R06-no-literal-secret  (pulumi-python:dynamic/local:Process: leaky)",
        "environment.NOTE holds a Standard Webhooks secret (whsec_) in plain",
        "R73-readiness-apart-from-liveness  (pulumi-python:dynamic/local:Process: odd)",
        "environment: a mapping was expected, a text came",
    ):
        assert words in preview.stdout
    assert "rpc error" not in preview.stdout
    policies = preview.stdout[preview.stdout.index("Policies:") :].split("Diagnostics:")[0]
    assert canary not in policies


def test_an_update_stops_before_the_resource_is_made(project, write) -> None:
    write('Process("open", **{**good, "environment": {**good["environment"], "HOST": "0.0.0.0"}})')
    up = project.up()
    assert up.returncode != 0
    assert "L02-internal-services-loopback" in up.stdout
    assert not (project.folder / "created").exists()


def test_an_exported_or_generated_secret_in_plain_fails(project, write, canary) -> None:
    write('worker = Process("worker", **good)', 'pulumi.export("apiKey", pulumi.Output.unsecret(worker.generated))')
    up = project.up()
    assert up.returncode != 0
    assert "L01-no-plain-secret-output  (pulumi-python:dynamic/local:Process: worker)" in up.stdout
    assert "L01-no-plain-secret-output  (pulumi:pulumi:Stack: trial-test)" in up.stdout
    policies = up.stdout[up.stdout.index("Policies:") :].split("Outputs:")[0]
    assert canary not in policies


def test_the_packs_configuration_turns_a_rule_into_advice(project, write) -> None:
    write('Process("open", **{**good, "environment": {**good["environment"], "HOST": "0.0.0.0"}})')
    config = project.folder / "levels.json"
    config.write_text(json.dumps({"L02-internal-services-loopback": "advisory"}))
    preview = project.preview("--policy-pack-config", str(config))
    assert preview.returncode == 0, preview.stdout
    assert "[advisory] [severity: high]  L02-internal-services-loopback" in preview.stdout


def test_a_stack_that_is_only_advised_goes_on_with_the_same_finding(project, write) -> None:
    """The level comes from policies/enforcement.yaml by the stack's name: the engine names it before it asks for the list."""
    write('Process("open", **{**good, "environment": {**good["environment"], "HOST": "0.0.0.0"}})')
    assert project.preview().returncode != 0
    dev = replace(project, stack="dev")
    assert dev.pulumi("stack", "init").returncode == 0
    preview = dev.preview()
    assert preview.returncode == 0, preview.stdout
    assert "[advisory] [severity: high]  L02-internal-services-loopback" in preview.stdout


def test_a_strict_preview_stops_at_what_is_undetermined(project, write) -> None:
    write(f'first = Process("worker", {MARKED}, **good)', 'pulumi.export("apiKey", first.generated)')
    assert project.preview().returncode == 0
    strict = replace(project, environment={**project.environment, "ASSISTANT_POLICY_STRICT": "1"})
    preview = strict.preview()
    assert preview.returncode != 0
    assert "[mandatory] [severity: critical]  L01-no-plain-secret-output" in preview.stdout
    assert "UNDETERMINED" in preview.stdout


def test_a_run_leaves_a_record_without_a_secret(project, write, canary) -> None:
    write(
        f'first = Process("worker", {MARKED}, **good)',
        'pulumi.export("apiKey", first.generated)',
        'pulumi.export("leak", pulumi.Output.unsecret(first.generated))',
    )
    file = project.folder / "record.json"
    recorded = replace(project, environment={**project.environment, record.VARIABLE: str(file)})
    assert recorded.preview().returncode == 0
    assert record.read(file).source == "preview"
    recorded.up()
    read = record.read(file)
    assert (read.project, read.stack, read.source) == ("trial", "test", "update")
    (worker,) = (seen for seen in read.resources if seen.resource.name == "worker")
    assert isinstance(worker.resource.properties["generated"], Secret)
    assert worker.inputs["command"] == worker.resource.properties["command"]
    assert ("L02", Outcome.PASS) in {(each.rule, each.outcome) for each in read.results if each.urn == worker.resource.urn}
    assert canary not in file.read_text()


def test_existing_state_is_judged_without_running_the_program(project, write) -> None:
    write(f'Process("worker", {MARKED}, **{{**good, "stopSeconds": 0}})')
    assert project.pulumi("up", "--yes", "--skip-preview").returncode == 0  # deployed without the pack
    analysed = project.pulumi("policy", "analyze", "--policy-pack", str(CHECKOUT / "policies"))
    assert analysed.returncode != 0
    assert "L05-restarts-bounded" in analysed.stdout


def test_the_local_stack_itself_passes_in_its_preview(project) -> None:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        free = [each.getsockname()[1] for each in sockets]
    ports = dict(zip(("gateway", "inference", "redis", "worker"), free, strict=True))
    config = {"target": "local", "stateDirectory": str(project.folder / "run"), "ports": ports}
    (project.folder / "Pulumi.yaml").write_text(f"name: assistant\nmain: {CHECKOUT / 'infra'}\nruntime: python\n")
    assert project.pulumi("stack", "init").returncode == 0
    with (project.folder / "Pulumi.test.yaml").open("a") as file:
        file.write("config: " + json.dumps({f"assistant:{name}": value for name, value in config.items()}))
    preview = project.preview()
    assert preview.returncode == 0, preview.stdout
    assert "FAILED" not in preview.stdout
    assert "local:Process gateway" in preview.stdout


def test_a_remedied_resource_keeps_its_secrets_in_the_state(project, canary) -> None:
    """With the stand-in for AWS' provider. By the SDK's own way the state would hold the canary in plain."""
    standing_in = on_standins(Engine(checkout=project.folder, stack=project.stack, environment=project.environment), CHECKOUT)
    project = replace(project, environment=standing_in.environment)
    project.program(f"""
        import pulumi, pulumi_aws as aws
        own = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-central-1"))
        aws.kms.Key("key", deletion_window_in_days=7, description=pulumi.Output.secret({canary!r}), opts=own)
        """)
    config = project.folder / "rules.json"
    config.write_text(json.dumps({"all": "disabled", "R63-key-rotation": "remediate"}))
    up = project.up("--policy-pack-config", str(config))
    assert up.returncode == 0, up.stdout
    assert "R63-key-rotation" in up.stdout
    exported = project.pulumi("stack", "export")
    (key,) = [each for each in json.loads(exported.stdout)["deployment"]["resources"] if each["type"] == "aws:kms/key:Key"]
    assert (key["inputs"]["enableKeyRotation"], key["inputs"]["deletionWindowInDays"]) == (True, 30)
    assert key["inputs"]["description"][SIGNATURE] == SECRET
    assert canary not in exported.stdout
    assert canary not in up.stdout
