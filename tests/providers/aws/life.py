"""One resource from create to delete, in the world of the tests: what the gRPC service calls, without the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugin.changes import Change, changes, ignored
from plugin.values import UNKNOWN, marked, plain

from aws import conflicts, difference, failing, naming, service_models, synthesis
from aws.identifiers import Identity, arn_service, identify
from aws.partitions import Region
from aws.sdk import Resource, Sdk
from aws.settings import Circumstances, Settings
from aws.world import Record, with_secrets

Values = dict[str, Any]


class RefusedError(Exception):
    """AWS says no."""


@dataclass(frozen=True, kw_only=True)
class Life:
    sdk: Sdk
    resource: Resource
    urn: str
    settings: Settings
    circumstances: Circumstances

    # --- what is decided

    def region(self, inputs: Mapping[str, Any]) -> Region:
        own = inputs.get("region")
        return Region(name=own) if isinstance(own, str) and own != UNKNOWN else self.settings.known_region

    def changes(self, old: Values, new: Values, outputs: Values, leave: tuple[str, ...]) -> list[Change]:
        """From plain inputs to plain inputs; a default tag that changed is a change as well."""
        found = [
            change
            for change in changes(_compared(old), _compared(new))
            if not ignored(change, leave) and not _same_document(change, old, new)
        ]
        if (
            "tagsAll" in self.resource.outputs
            and self.settings.tags_known
            and not any(item.path[0] == "tags" for item in found)
        ):
            after = synthesis.tags_all(new, self.settings.default_tags)
            if UNKNOWN not in after.values() and outputs.get("tagsAll", after) != after:
                found.append(Change(("tagsAll",), "update"))
        return found

    def anew(self, found: list[Change]) -> list[Change]:
        return [change for change in found if difference.replaces(self.resource, str(change.path[0]))]

    def preview(self, inputs: Values, previous: Values | None = None) -> Values:
        """``inputs`` as on the wire: secrets and unknowns are marked."""
        setting = self._setting(Identity(id="", arn="", name="", seed=""), plain(inputs), self.region(plain(inputs)))
        if previous is None:
            return marked(synthesis.preview(self.resource, setting), inputs)  # type: ignore[no-any-return]
        given = _compared(inputs)
        kept = {
            name: value
            for name, value in previous.items()
            if name not in given and name in self.resource.outputs and self.resource.outputs[name].required
        }
        if "latestVersion" in kept:
            kept["latestVersion"] = UNKNOWN
        declared = self.resource.outputs
        whole = {
            name: synthesis.retained(self.sdk, self.resource, name, declared[name].type, value, previous.get(name))
            if name in declared
            else value
            for name, value in given.items()
        }
        return {**kept, **whole, **synthesis.known(self.resource, setting)}

    # --- what is done

    def create(self, inputs: Values) -> tuple[str, Values]:
        """The new id and the outputs, marked. Raises :class:`RefusedError`."""
        given = plain(inputs)
        region = self.region(given)
        world = self.circumstances.world
        with world.changing():
            self._fail_on_demand("create", given, region)
            records = world.records()
            identity = self._identity(given, region, records)
            reason = conflicts.taken(self.resource, identity, region.name, given, records)
            if self.resource.token == "aws:ec2/subnet:Subnet":
                reason = reason or conflicts.subnet_conflict(given, records)
            if reason:
                raise RefusedError(self._sentence("creating", identity.name, reason))
            outputs = self._outputs(identity, inputs, region)
            self._record(identity, region, inputs, outputs)
        return identity.id, outputs

    def update(self, number: str, inputs: Values, previous: Values) -> Values:
        given = plain(inputs)
        region = self.region(given)
        world = self.circumstances.world
        with world.changing():
            self._fail_on_demand("update", given, region)
            record = world.get(self.resource.token, region.name, number)
            if record is None and world.persistent:
                raise RefusedError(self._sentence("updating", number, "couldn't find resource"))
            before = plain(previous)
            arn = str(before.get("arn") or (record.arn if record else ""))
            name = record.name if record else number
            identity = Identity(id=number, arn=arn, name=name, seed=identify(self.resource, given, region, self.urn).seed)
            outputs = self._outputs(identity, inputs, region, previous)
            self._record(identity, region, inputs, outputs)
        return outputs

    def read(self, number: str, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """Inputs and outputs as they are now, or None where nothing is. Memory forgets with the process, and so takes the
        engine's word."""
        world = self.circumstances.world
        region = self.region(plain(outputs) or plain(inputs))
        record = world.get(self.resource.token, region.name, number)
        if record is None:
            return None if world.persistent or not outputs else (inputs, outputs)
        seen = with_secrets(dict(record.inputs), inputs)
        kept = (
            seen if not inputs else {key: value for key, value in seen.items() if key in inputs or key in self.resource.inputs}
        )
        return kept, with_secrets(dict(record.outputs), outputs)

    def delete(self, number: str, inputs: Values, outputs: Values) -> None:
        given = plain(inputs)
        region = self.region(plain(outputs) or given)
        world = self.circumstances.world
        with world.changing():
            self._fail_on_demand("delete", given, region)
            record = world.get(self.resource.token, region.name, number)
            if record is not None and (reason := conflicts.held(record, world.records())):
                raise RefusedError(self._sentence("deleting", number, reason))
            world.remove(self.resource.token, region.name, number)

    # --- parts

    def _identity(self, given: Values, region: Region, records: list[Record]) -> Identity:
        token = self.resource.token
        if self.resource.noun.startswith("Default") and isinstance(given.get("vpcId"), str):
            adopted = next((item for item in records if item.id == given["vpcId"]), None)
            key = self.resource.noun[:1].lower() + self.resource.noun[1:] + "Id"
            if adopted and adopted.outputs.get(key):
                found = identify(self.resource, given, region, self.urn)
                own = str(adopted.outputs[key])
                return Identity(id=own, arn=found.arn.replace(found.id, own), name="default", seed=found.seed)
        same_family = [item for item in records if item.token == token and item.region == region.name]
        revisions = [
            int(item.outputs.get("revision") or 0) for item in same_family if item.inputs.get("family") == given.get("family")
        ]
        revision = 1 + max(revisions, default=0)
        identity = identify(self.resource, given, region, self.urn, revision=revision)
        salt = 0
        taken = {item.id for item in same_family}
        while identity.id in taken and identity.name not in identity.id and salt < len(taken):
            salt += 1
            identity = identify(self.resource, given, region, self.urn, salt=str(salt), revision=revision)
        return identity

    def _setting(self, identity: Identity, given: Values, region: Region) -> synthesis.Setting:
        def lookup(name: str) -> Mapping[str, Any] | None:
            record = self.circumstances.world.find(name)
            return record.outputs if record else None

        return synthesis.setting_for(self.resource, identity, region, given, self.settings.default_tags, lookup)

    def _outputs(self, identity: Identity, inputs: Values, region: Region, previous: Values | None = None) -> Values:
        setting = self._setting(identity, plain(inputs), region)
        made = synthesis.outputs(self.sdk, self.resource, setting, plain(previous) if previous is not None else None)
        made.update(self.circumstances.overrides.get(self.resource.token) or {})
        return marked(made, {**(previous or {}), **inputs})  # type: ignore[no-any-return]

    def _record(self, identity: Identity, region: Region, inputs: Values, outputs: Values) -> None:
        self.circumstances.world.put(
            Record(
                token=self.resource.token,
                id=identity.id,
                urn=self.urn,
                region=region.name,
                name=identity.name,
                arn=identity.arn if "arn" in self.resource.outputs else "",
                inputs={key: value for key, value in inputs.items() if value is not None},
                outputs=outputs,
            )
        )

    def _fail_on_demand(self, operation: str, given: Values, region: Region) -> None:
        rule = failing.due(self.circumstances.failures, self.circumstances.world, self.urn, operation)
        if rule is None:
            return
        made = service_models.creating(self.resource.module, self.resource.noun)
        called = made.name if made and operation == "create" else f"{operation.capitalize()}{self.resource.noun}"
        service_id = made.service_id if made else self.resource.module
        text = failing.message(rule, arn_service(self.resource), service_id, called, given, region.zones[0])
        verb = {"create": "creating", "update": "updating", "delete": "deleting"}[operation]
        raise RefusedError(self._sentence(verb, self.urn.rpartition("::")[2], text))

    def _sentence(self, verb: str, name: str, reason: str) -> str:
        made = service_models.creating(self.resource.module, self.resource.noun)
        service = made.service_id if made else self.resource.module
        return f"1 error occurred:\n\t* {verb} {service} {self.resource.noun} ({name}): {reason}\n\n"


def _compared(inputs: Mapping[str, Any]) -> Values:
    return {key: value for key, value in inputs.items() if key != naming.DEFAULTS}


def _same_document(change: Change, old: Values, new: Values) -> bool:
    """Two spellings of one JSON document, as of a policy."""
    if change.operation != "update":
        return False
    before, after = (_at(values, change.path) for values in (old, new))
    if not (isinstance(before, str) and isinstance(after, str) and before[:1] in "{[" and after[:1] in "{["):
        return False
    try:
        return bool(json.loads(before) == json.loads(after))
    except ValueError:
        return False


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
