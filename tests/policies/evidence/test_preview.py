"""From the real engine, program and rules to a bundle, with the tests' stand-ins for AWS."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies import record
from policies.controls import CONTROLS
from policies.evidence import sources
from policies.evidence.__main__ import main
from tools.aws.standins import on_standins, throwaway
from tools.pulumi.engine import locate
from tools.pulumi.environment import CHECKOUT
from tools.stack.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


class Played:
    """Where AWS is never asked, whatever plugins and credentials the machine has."""

    @contextlib.contextmanager
    def previewed(self, engine: Engine) -> Iterator[Engine]:
        with throwaway(engine) as copy:
            prepared = on_standins(copy, CHECKOUT)
            prepared.prepare()
            yield prepared


def test_a_preview_of_prod_becomes_a_bundle_that_says_what_it_comes_from(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    monkeypatch.setattr(sources, "place_of", lambda _engine: Played())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment = {**inherited, "PULUMI_HOME": str(tmp_path / "home")}

    code = main(["--stack", "prod", "--repository", str(checkout)], environment)
    told = capsys.readouterr().out
    assert code in (0, 1), told

    place = checkout / ".state" / "evidence"
    seen = record.read(place / "prod.record.json")
    manifest = json.loads((place / "prod" / "manifest.json").read_text())
    statement = json.loads((place / "prod" / "statement-of-applicability.json").read_text())
    assert (manifest["stack"], manifest["source"], manifest["standIns"]) == ("prod", "preview", True)
    assert len(statement["controls"]) == len(CONTROLS)
    assert len(seen.resources) > 300
    review = json.loads((place / "prod" / "access-review.json").read_text())
    inventory = json.loads((place / "prod" / "inventory.json").read_text())
    assert {row["role"] for row in review["access-aws-roles"]} >= {"assistant-prod-pod-gateway", "assistant-prod-backup"}
    assert {row["namespace"] for row in review["access-kubernetes-accounts"]} == {"assistant", "kube-system"}
    assert all(row["rotation"].startswith("yes") and row["used by"] != "none in this stack" for row in inventory["keys"])
    assert {row["secret"] for row in inventory["secrets"]} >= {"assistant/prod/api_key", "assistant/prod/redis_password"}
