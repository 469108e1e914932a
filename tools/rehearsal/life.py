"""A stack's life, phase by phase, on its :class:`tools.rehearsal.stage.Stage`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2

from tools.aws import checks, preflight
from tools.aws.means import whoami
from tools.aws.protection import protected
from tools.rehearsal import configuration, observed, runs
from tools.rehearsal.addresses import EDGE
from tools.rehearsal.errors import RehearsalError
from tools.rehearsal.layout import CHECKOUT
from tools.rehearsal.observed import KubernetesObject
from tools.rehearsal.phases import Outcome, Phase
from tools.rehearsal.runs import Run
from tools.rehearsal.stage import PLATFORM_PORT, Stage
from tools.rehearsal.standing_in import resources
from tools.stack.engine import POLICY_PACK, EngineError

Report = Callable[[str], None]
NO_CHANGE = "--expect-no-changes"
# The update that one resource of is made to fail: changes that nobody would call an upgrade.
FAILING = {"urn": "*$aws:eks/nodeGroup:NodeGroup::*", "operation": "update", "error": "InsufficientCapacity", "times": 1}
FAILED_WORDS = "InsufficientInstanceCapacity"
READY_SECONDS = 60.0
PROBE_SECONDS = 0.5
LINES = 12
ASKED_AT_ONCE = 6  # objects of Kubernetes
# In front of the played AWS pods sign in with a file that no volume brings (infra/aws/emulated.py), and one machine has
# room for one pod of inference: both are told, and the rehearsal goes on.
LEVELS = {"R09-secrets-as-files": "advisory", "R43-serves-redundantly": "advisory"}
POLICY_PACK_NAME = "assistant"  # as in policies/PulumiPolicy.yaml
SUMMARY = re.compile(r"^(\d+ (?:passed|failed|error|skipped).*) in [\d.]+s", re.MULTILINE)


class Life:
    """Keeps what the report shows: the runs, the world and the state as they were while the stack stood."""

    def __init__(self, stage: Stage, report: Report) -> None:
        self.stage, self.engine, self._report = stage, stage.engine, report
        self.runs: dict[str, Run] = {}
        self.world: list[Mapping[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.preflight: list[checks.Check] = []
        self.objects: dict[str, KubernetesObject] = {}
        self.left = observed.Left(orphans=(), kept={})
        self.gone = False

    def phases(self) -> list[Phase]:
        return [
            Phase(name="preflight", act=self._preflight),
            Phase(name="up", act=self._up),
            Phase(name="policies", act=self._policies),
            Phase(name="edge", act=self._edge),
            Phase(name="acceptance", act=self._acceptance),
            Phase(name="second preview", act=self._second_preview),
            Phase(name="image upgrade", act=self._upgrade),
            Phase(name="injected failure", act=self._failure),
            Phase(name="recovery", act=self._recovery),
            Phase(name="destroy", act=self._destroy),
            Phase(name="orphans", act=self._orphans),
        ]

    # --- before and up

    def _preflight(self) -> Outcome:
        """As `make preflight`. An example of a domain, which nobody delegates, is no failure of a rehearsal."""
        settings = self.stage.settings()
        identity, problem = whoami(settings)
        if identity is None:
            raise RehearsalError(f"the played AWS knows nobody: {problem}")
        found = [*preflight.static(settings, self.engine.stack), *preflight.dynamic(self.engine.stack, settings, identity)]
        self.preflight = found
        named = settings.edge.zone is not None and checks.is_example(settings.edge.zone)
        borne = {"example values", *(["zone"] if named else [])}
        if refused := [check for check in checks.refused(found) if check.name not in borne]:
            raise RehearsalError(f"{refused[0].name}: {refused[0].found}\n{checks.table(refused)}")
        counts = {verdict: sum(check.verdict == verdict for check in found) for verdict in ("ok", "note", "not checked")}
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        examples = [check.name for check in checks.refused(found)]
        return Outcome(said=said + (f"; {' and '.join(examples)} as expected of examples" if examples else ""))

    def _up(self) -> Outcome:
        levels = self.engine.checkout / "levels.json"
        levels.write_text(json.dumps(LEVELS), encoding="utf-8")
        pack = ("--policy-pack", POLICY_PACK, "--policy-pack-config", str(levels))
        run = self._run("up", "up", "--yes", "--skip-preview", *pack)
        self._remember()
        self.outputs = self.engine.outputs(show_secrets=False)
        aws = sum(runs.type_of(urn).startswith("aws:") for _, urn in run.steps)
        kubernetes = sum(runs.type_of(urn).startswith("kubernetes:") for _, urn in run.steps)
        return Outcome(said=f"{len(run.steps)} resources, {aws} of AWS, {kubernetes} of Kubernetes", details=[_counts(run)])

    def _policies(self) -> Outcome:
        """Mandatory ones would have ended the up; here is what they said besides, and that they were asked at all."""
        run = self.runs["up"]
        said = runs.violations(run.events)
        if said.get("mandatory"):
            raise RehearsalError("policies are violated\n" + "\n".join(said["mandatory"]))
        asked = re.search(r"Policies:\s+(.*?)\n\s*\n", run.screen, re.DOTALL)
        if asked is None or POLICY_PACK_NAME not in asked[1]:
            raise RehearsalError("the engine does not say that it has asked the policy pack")
        advice = [text for level, texts in said.items() for text in texts if level != "mandatory"]
        wrong = observed.exactly_the_edge(self.world)
        if wrong:
            raise RehearsalError(f"{wrong[0]}\n" + "\n".join(wrong[1:]))
        from policies.rules import RULES

        number = len(RULES)
        return Outcome(said=f"{number} rules, none violated; open to the world: 80 and 443 of the edge", details=advice)

    # --- the way in

    def _edge(self) -> Outcome:
        """The load balancer's listeners, played; their target is the Service that the stack binds its target groups to."""
        cluster, namespace = self.stage.cluster, self.stage.namespace
        bindings = cluster.get("targetgroupbindings.elbv2.k8s.aws", f"--namespace={namespace}")["items"]
        services = {(item["spec"]["serviceRef"]["name"], item["spec"]["serviceRef"]["port"]) for item in bindings}
        if len(services) != 1:
            raise RehearsalError(f"the target groups are bound to {sorted(services) or 'nothing'}, and not to one Service")
        ((name, port),) = services
        address = cluster.get("service", name, f"--namespace={namespace}")["spec"]["clusterIP"]
        made = self.stage.certificates
        line = [sys.executable, "-m", "tools.rehearsal.balancer", "--address", EDGE, "--target", f"{address}:{port}"]
        line += ["--certificate", str(made.certificate), "--key", str(made.key)]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        self.stage.programs.start("load-balancer", line, (EDGE, 443), environment)
        self._write_record()
        end = time.monotonic() + READY_SECONDS
        while (status := self._ask("/readyz")) != 200:
            if time.monotonic() > end:
                raise RehearsalError(f"{self.outputs['url']}/readyz answers {status}, and not 200")
            time.sleep(PROBE_SECONDS)
        with httpx2.Client(trust_env=False, timeout=10) as plain:
            sent_on = plain.get(f"http://{EDGE}/console", headers={"Host": self._domain})
        if sent_on.status_code != 301 or not sent_on.headers["location"].startswith(f"https://{self._domain}"):
            raise RehearsalError(f"port 80 answers {sent_on.status_code}, and does not send to https")
        return Outcome(said=f"{len(bindings)} target groups bound to {name}:{port}; 443 answers, 80 sends on")

    @property
    def _domain(self) -> str:
        return str(self.outputs["url"]).removeprefix("https://")

    def _client(self, timeout: float = 5) -> httpx2.Client:
        """As people come: the certificate is looked at, under the stack's own name."""
        context = ssl.create_default_context(cafile=str(self.stage.certificates.authority))
        return httpx2.Client(base_url=f"https://{EDGE}", verify=context, timeout=timeout, trust_env=False)

    def _ask(self, path: str) -> int | str:
        try:
            with self._client() as link:
                asked = link.get(path, headers={"Host": self._domain}, extensions={"sni_hostname": self._domain})
                return asked.status_code
        except httpx2.HTTPError as error:
            return type(error).__name__

    def _write_record(self) -> None:
        engine = self.engine
        document = {
            "stack": engine.stack,
            "project": str(engine.checkout),
            "environment": runs.environment_of(engine),
            "authority": str(self.stage.certificates.authority),
            "domain": self._domain,
            "edge": EDGE,
            "platformPort": PLATFORM_PORT,
            "world": str(self.stage.layout.world),
        }
        self.stage.layout.record.touch(mode=0o600)
        self.stage.layout.record.write_text(json.dumps(document, indent=1), encoding="utf-8")

    def _acceptance(self) -> Outcome:
        log = self.stage.layout.logs / "acceptance.log"
        line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/stack/test_acceptance.py"]
        environment = {**os.environ, "ASSISTANT_TARGET": "eks", "ASSISTANT_REHEARSAL": str(self.stage.layout.record)}
        with log.open("wb") as screen:
            code = subprocess.run(
                line, cwd=CHECKOUT, env=environment, stdout=screen, stderr=subprocess.STDOUT, check=False, timeout=600
            ).returncode
        text = log.read_text(encoding="utf-8", errors="replace")
        found = SUMMARY.search(text)
        if code or found is None:
            raise RehearsalError(f"{found[1] if found else f'pytest ended with {code}'}: {log}\n{_last(text)}")
        return Outcome(said=found[1])

    # --- changes

    def _second_preview(self) -> Outcome:
        self._run("second preview", "preview", NO_CHANGE)
        return Outcome(said="no change")

    def _upgrade(self) -> Outcome:
        """Other images, as if the sources had changed; what they hold is the same."""
        more = {"ASSISTANT_DOCKER_BUILD_VERSION": "2"}
        self.engine = dataclasses.replace(self.engine, environment={**self.engine.environment, **more})
        with self._asking() as answers:
            run = self._run("image upgrade", "up", "--yes", "--skip-preview")
        self._remember()
        if gone := runs.lost(run.steps):
            raise RehearsalError("the upgrade has replaced what holds data\n" + "\n".join(gone))
        changed = {runs.name_of(urn) for _, urn in run.steps}
        if not any("gateway" in name for name in changed):
            raise RehearsalError(f"the upgrade has not changed the gateway, but {', '.join(sorted(changed)) or 'nothing'}")
        said = f"{len(run.steps)} resources changed, nothing stateful replaced; {_answered(answers)}"
        return Outcome(said=said, details=[_counts(run)])

    def _failure(self) -> Outcome:
        """One resource cannot be changed, in the middle of an update; the assistant must not notice."""
        maximum = self.stage.settings().eks.system_pool.maximum
        emails = [configuration.EMAIL, "second@example.com"]
        self.stage.set({"eks": {"systemPool": {"maximum": maximum + 1}}, "notifications": {"emails": emails}})
        more = {"ASSISTANT_AWS_FAILURES": json.dumps([FAILING])}
        run = self._run("injected failure", "up", "--yes", "--skip-preview", more=more, fails=True)
        if FAILED_WORDS not in run.screen:
            raise RehearsalError(f"the up failed, but not for what was injected: {run.log}\n{_last(run.screen)}")
        if (status := self._ask("/readyz")) != 200:
            raise RehearsalError(f"while the update is half done, the assistant answers {status}")
        names = ", ".join(runs.name_of(urn) for urn in runs.failed(run.events))
        return Outcome(said=f"{FAILED_WORDS} at {names}; the assistant went on answering", details=[_counts(run)])

    def _recovery(self) -> Outcome:
        run = self._run("recovery", "up", "--yes", "--skip-preview")
        if gone := runs.lost(run.steps):
            raise RehearsalError("the recovery has replaced what holds data\n" + "\n".join(gone))
        self._remember()
        return Outcome(said=f"the next up did the rest: {_counts(run)}")

    # --- the end

    def _destroy(self) -> Outcome:
        """The documented way: what is protected is not removed; the setting takes the protection off."""
        held = protected(self.engine)
        if self.stage.settings().protection:
            if not held:
                raise RehearsalError("the stack is to be protected, and nothing of it is")
            self.stage.set({"protection": False})
            self._run("protection off", "up", "--yes", "--skip-preview")
            if still := protected(self.engine):
                raise RehearsalError("protection was taken off, and these are protected still\n" + "\n".join(still))
        self._remember()
        run = self._run("destroy", "destroy", "--yes", "--skip-preview", "--run-program")
        self.gone = True
        before = f"{len(held)} protected resources let go first; " if held else ""
        return Outcome(said=f"{before}{len(run.steps)} resources removed", details=[_counts(run)])

    def _orphans(self) -> Outcome:
        self.left = observed.left(resources(self.stage.layout.world))
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            found = pool.map(self._exists, self.objects.values())
            there = [str(item) for item, exists in zip(self.objects.values(), found, strict=True) if exists]
        orphans = [*self.left.orphans, *there]
        if orphans:
            raise RehearsalError(f"{len(orphans)} orphans\n" + "\n".join(orphans))
        return Outcome(
            said=f"0 orphans; {len(self.left.kept)} kept on purpose; {len(self.objects)} objects of Kubernetes gone",
            details=[f"{name}: {why}" for name, why in sorted(self.left.kept.items())],
        )

    # --- what they share

    def _run(self, name: str, command: str, *arguments: str, more: Mapping[str, str] | None = None, fails: bool = False) -> Run:
        log = self.stage.layout.logs / f"{name.replace(' ', '-')}.log"
        run = runs.perform(self.engine, command, *arguments, log=log, report=self._report, more=more)
        self.runs[name] = run
        if bool(run.code) != fails:
            if fails:
                raise RehearsalError(f"pulumi {command} came to a good end, and was to fail: {log}")
            named = ", ".join(runs.name_of(urn) for urn in runs.failed(run.events))
            where = f" at {named}" if named else ""
            raise RehearsalError(f"pulumi {command} failed{where} (exit code {run.code}): {log}\n{_errors(run.screen)}")
        return run

    def _remember(self) -> None:
        """The world and the state as they are now; of Kubernetes all that ever was."""
        self.world = resources(self.stage.layout.world)
        self.state = json.loads(self.engine.read("stack", "export"))
        self.objects |= {str(item): item for item in observed.kubernetes_objects(self.state)}

    def _exists(self, item: KubernetesObject) -> bool:
        where = [f"--namespace={item.namespace}"] if item.namespace else []
        done = self.stage.cluster.try_run("get", item.kind, item.name, *where, "--ignore-not-found", "--output=name")
        return bool(done.stdout.strip())

    @contextmanager
    def _asking(self) -> Iterator[dict[str, int]]:
        """Somebody who asks the assistant twice a second whether it is there, while something is done."""
        answers: dict[str, int] = {}
        end = threading.Event()

        def ask() -> None:
            while not end.wait(PROBE_SECONDS):
                status = str(self._ask("/readyz"))
                answers[status] = answers.get(status, 0) + 1

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            end.set()
            thread.join(timeout=30)

    def sweep(self) -> None:
        """After a failure: what the stack has put into the cluster goes, whatever became of it in the state."""
        if self.gone:
            return
        try:
            self._remember()
        except (EngineError, ValueError) as error:
            self._report(f"what the stack has put into the cluster is not known: {error}")
        self._report(f"removing {len(self.objects)} objects from the cluster")
        for item in reversed(self.objects.values()):
            where = [f"--namespace={item.namespace}"] if item.namespace else []
            self.stage.cluster.try_run("delete", item.kind, item.name, *where, "--ignore-not-found", "--wait=false")


def _counts(run: Run) -> str:
    return ", ".join(f"{number} {operation}" for operation, number in run.counted().items()) or "nothing changed"


def _answered(answers: Mapping[str, int]) -> str:
    asked, good = sum(answers.values()), answers.get("200", 0)
    other = ", ".join(f"{number} × {status}" for status, number in sorted(answers.items()) if status != "200")
    return f"asked {asked} times meanwhile, {good} answers" + (f" ({other})" if other else "")


def _last(text: str, lines: int = LINES) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def _errors(screen: str) -> str:
    """The lines in which the engine says what was wrong, else the last ones."""
    found = [line.strip() for line in screen.splitlines() if re.search(r"\berror:", line)]
    return "\n".join(dict.fromkeys(found[:LINES])) or _last(screen)
