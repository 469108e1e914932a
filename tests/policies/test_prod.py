"""The stack `prod` in the real engine, with the tests' stand-ins for AWS: nothing to find, and nothing bad gets past."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from policies import record
from policies.pack import ALL_RULES
from policies.rule import Outcome
from tools.aws.standins import on_standins, throwaway
from tools.pulumi.engine import locate
from tools.pulumi.environment import CHECKOUT, engine_environment
from tools.stack.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

RULES = {rule.id: rule for rule in ALL_RULES}
# The stack's own program, after what a careless change would have made of it.
PROGRAM = """
import runpy
import pulumi
{change}
runpy.run_module("infra", run_name="__main__")
"""
GPU_POOL = """
assistant:gpuPools:
  - {name: l4, instanceTypes: [g6.xlarge], capacity: onDemand, minimum: 0, maximum: 2}
"""
CARELESS = """
def transformed(args):
    kind, props = args.type_, args.props
    if kind == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule" and props.get("from_port") == 443:
        props.update(from_port=22, to_port=22)
    if kind == "aws:memorydb/cluster:Cluster":
        props["tls_enabled"] = False
    if kind == "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration":
        props["rules"] = [{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}]
    return pulumi.ResourceTransformationResult(props, args.opts)

pulumi.runtime.register_stack_transformation(transformed)

import infra.aws.alarms
infra.aws.alarms.ALARMS = tuple(alarm for alarm in infra.aws.alarms.ALARMS if alarm.name != "DeadLetters")
"""


@dataclass(frozen=True)
class Previewed:
    passed: bool
    screen: str
    record: record.Record


def previewed(stack: str, folder: Path, *, change: str = "", settings: str = "", **variables: str) -> Previewed:
    """A first preview of ``stack``, with further ``settings`` (YAML), of its program with ``change`` (Python) before it."""
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    inherited["PULUMI_HOME"] = str(folder / "home")
    environment = engine_environment(CHECKOUT, environment=inherited, stack=stack)
    file = folder / "record.json"
    with throwaway(Engine(checkout=CHECKOUT, stack=stack, environment=environment)) as copy:
        prepared = on_standins(copy, CHECKOUT)
        if settings:
            with prepared.configuration.open("a", encoding="utf-8") as file_of_settings:
                file_of_settings.write(textwrap.indent(settings, "  "))
        prepared.prepare()
        if change:
            (prepared.checkout / "app").symlink_to(CHECKOUT / "app")  # images are built from the program's neighbours
            (prepared.checkout / "infra").unlink()
            (prepared.checkout / "infra").mkdir()
            (prepared.checkout / "infra" / "__main__.py").write_text(PROGRAM.format(change=change))
        done = subprocess.run(
            ["pulumi", "preview", "--stack", stack, "--policy-pack", "policies", "--non-interactive"],
            cwd=prepared.checkout,
            env={**prepared.environment, record.VARIABLE: str(file), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        return Previewed(done.returncode == 0, done.stdout, record.read(file))


@pytest.mark.parametrize(
    ("stack", "settings"),
    [("prod", ""), ("staging", GPU_POOL), ("serverless", "")],
    ids=["prod", "staging with a GPU pool", "serverless"],
)
def test_the_stack_has_nothing_that_is_not_waived(stack: str, settings: str, tmp_path: Path) -> None:
    """Undetermined about a grave rule is something, too: the first preview, where no identifier is known, is the hardest."""
    done = previewed(stack, tmp_path, settings=settings, ASSISTANT_POLICY_STRICT="1")
    standing = [
        (result.rule, result.urn.rpartition("::")[2], result.reasons)
        for result in done.record.results
        if result.stands and (result.outcome is Outcome.FAIL or RULES[result.rule].is_grave)
    ]
    assert standing == []
    assert done.passed, done.screen


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Previewed:
    return previewed("prod", tmp_path_factory.mktemp("careless"), change=CARELESS)


@pytest.mark.parametrize(
    ("rule_id", "resource"),
    [
        pytest.param("R55", "aws:vpc:SecurityGroupIngressRule", id="port 22 open to the world"),
        pytest.param("R68", "aws:memorydb:Cluster", id="encryption in transit dropped"),
        pytest.param("R64", "aws:s3:Bucket", id="the customer's key dropped"),
        pytest.param("R52", "DeadLetters", id="an alarm deleted"),
    ],
)
def test_a_careless_change_stops_with_rule_resource_control_and_remedy(
    careless: Previewed, rule_id: str, resource: str
) -> None:
    assert not careless.passed
    rule = RULES[rule_id]
    level = rf"\[mandatory\] \[severity: {rule.severity.value}\]"
    told = re.findall(rf"{level}\s+{rule.policy} .*?see: ", careless.screen, re.DOTALL)
    assert told, careless.screen[-6000:]
    for words in (resource, f"rule: {rule_id}, ISO/IEC 27001:2022 {rule.reference}", f"remedy: {rule.remedy}", "FAILED"):
        assert any(words in each for each in told), (words, told)
    assert rule_id in {result.rule for result in careless.record.results if result.outcome is Outcome.FAIL}
