"""The engine, its Go module and the Python SDK are of one version: another pair may not speak the same protocol."""

import importlib.metadata
import re
import tomllib

from tools.pulumi.build import MODULE_FOLDER
from tools.pulumi.environment import CHECKOUT
from tools.pulumi.version import GO_MINIMUM, PULUMI_VERSION


def test_the_engine_is_of_the_version_of_the_python_sdk():
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"pulumi=={PULUMI_VERSION}" in extras["infra"]
    assert f"\npulumi=={PULUMI_VERSION} " in (CHECKOUT / "requirements" / "development.lock").read_text()
    assert importlib.metadata.version("pulumi") == PULUMI_VERSION


def test_the_go_module_builds_that_version_with_upstreams_one_replacement():
    module = (MODULE_FOLDER / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PULUMI_VERSION}" in module
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PULUMI_VERSION}" in module
    assert re.findall(r"^replace (\S+)", module, re.MULTILINE) == ["github.com/atotto/clipboard"]


def test_the_least_go_is_the_one_that_the_module_asks_for():
    (directive,) = re.findall(r"^go (\S+)$", (MODULE_FOLDER / "go.mod").read_text(), re.MULTILINE)
    assert tuple(map(int, directive.split("."))) == GO_MINIMUM
