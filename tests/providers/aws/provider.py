"""The gRPC service that the engine calls (pulumi/provider.proto), in the words of AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import grpc
from plugin import wire
from plugin.changes import Change, property_path
from plugin.messages import EngineLog
from plugin.serving import notice
from plugin.values import has_unknowns, plain, secret

from aws import checks, difference, functions, naming
from aws.failing import FailuresError
from aws.life import Life, RefusedError
from aws.mirror import VARIABLE as MIRROR
from aws.mirror import Mirror
from aws.partitions import UnknownRegionError
from aws.sdk import Sdk, UnknownTokenError
from aws.settings import Circumstances, Settings, SettingsError, circumstances, settings

NOTICE = notice("aws", "AWS", "aws")
_OPERATIONS = {"add": 0, "delete": 2, "update": 4}  # PropertyDiff.Kind; the odd ones are the same with a replacement
_REFUSALS = (RefusedError, SettingsError, UnknownTokenError, UnknownRegionError, FailuresError, functions.NotFoundError)


def create_servicer(log: EngineLog) -> Any:
    """The service, as an object that ``add_ResourceProviderServicer_to_server`` takes."""
    messages, services, plugins, *_ = wire.modules()
    from google.protobuf.empty_pb2 import Empty

    sdk = Sdk()
    mirror = Mirror(os.environ.get(MIRROR))

    class Provider(services.ResourceProviderServicer):  # type: ignore[name-defined,misc]
        """Methods not overridden answer UNIMPLEMENTED, which the engine understands."""

        def __init__(self) -> None:
            self._settings: Settings | None = None
            self._circumstances: Circumstances | None = None

        # --- the provider itself

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugins.PluginInfo(version=json.loads((sdk.folder / "pulumi-plugin.json").read_text())["version"])

        def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.CheckResponse(inputs=request.news)

        def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = (plain(wire.from_struct(item)) for item in (request.old_inputs or request.olds, request.news))
            changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key != "version")
            if not changed:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            return messages.DiffResponse(changes=messages.DiffResponse.DIFF_SOME, diffs=changed)

        def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
            log.warn(NOTICE)

            def configure() -> None:
                self._settings = settings(wire.from_struct(request.args), os.environ)
                self._circumstances = circumstances(os.environ)

            _guarded(context, configure)
            return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            return Empty()

        # --- one resource

        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
            news, olds = wire.from_struct(request.news), wire.from_struct(request.olds)
            life = _guarded(context, lambda: self._life(request.urn))
            news = {key: value for key, value in news.items() if not key.startswith("__")}
            seed = request.randomSeed.hex() or request.urn
            try:
                proposed = request.autonaming.proposed_name
                news = naming.named(life.resource, news, request.urn.rpartition("::")[2], plain(olds), seed, proposed)
                found = checks.failures(sdk, life.resource, news)
            except naming.NameTooLongError as error:
                found = [checks.Failure(property="", reason=str(error))]
            return messages.CheckResponse(
                inputs=wire.to_struct(news),
                failures=[messages.CheckFailure(property=item.property, reason=item.reason) for item in found],
            )

        def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = plain(wire.from_struct(request.old_inputs)), plain(wire.from_struct(request.news))
            life = _guarded(context, lambda: self._life(request.urn))
            found = life.changes(old, new, plain(wire.from_struct(request.olds)), tuple(request.ignoreChanges))
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            anew = life.anew(found)
            return messages.DiffResponse(
                changes=messages.DiffResponse.DIFF_SOME,
                replaces=[str(change) for change in anew],
                diffs=list(dict.fromkeys(property_path(change.path[:1]) for change in found)),
                detailedDiff={str(change): _property_diff(change, change in anew) for change in found},
                hasDetailedDiff=True,
                deleteBeforeReplace=bool(anew) and difference.stands_in_the_way(life.resource, old, new),
            )

        def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs = wire.from_struct(request.properties)
            life = _guarded(context, lambda: self._life(request.urn))
            if request.preview:
                outputs = _guarded(context, lambda: life.preview(inputs))
                return messages.CreateResponse(properties=wire.to_struct(outputs))
            number, outputs = _guarded(context, lambda: life.create(inputs))
            mirror.created(life.resource.token, plain(outputs), life.region(plain(inputs)).name)
            return messages.CreateResponse(id=number, properties=wire.to_struct(outputs))

        def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs, olds = wire.from_struct(request.news), wire.from_struct(request.olds)
            life = _guarded(context, lambda: self._life(request.urn))
            if request.preview or has_unknowns(inputs):
                outputs = _guarded(context, lambda: life.preview(inputs, olds))
            else:
                outputs = _guarded(context, lambda: life.update(request.id, inputs, olds))
            return messages.UpdateResponse(properties=wire.to_struct(outputs))

        def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs, outputs = wire.from_struct(request.inputs), wire.from_struct(request.properties)
            found = _guarded(context, lambda: self._life(request.urn).read(request.id, inputs, outputs))
            if found is None:
                return messages.ReadResponse()
            return messages.ReadResponse(id=request.id, properties=wire.to_struct(found[1]), inputs=wire.to_struct(found[0]))

        def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs, outputs = wire.from_struct(request.old_inputs), wire.from_struct(request.properties)
            life = _guarded(context, lambda: self._life(request.urn))
            _guarded(context, lambda: life.delete(request.id, inputs, outputs))
            mirror.deleted(life.resource.token, plain(outputs), life.region(plain(outputs)).name)
            return Empty()

        def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
            def ask() -> dict[str, Any]:
                given, known = self._circumstances, self._settings
                assert given is not None and known is not None
                override = given.overrides.get(request.tok, {})
                if override is None:
                    raise functions.NotFoundError(f"{request.tok}: no matching resource found")
                caller = functions.Caller(region=known.known_region, world=given.world, default_tags=known.default_tags)
                found = functions.answer(sdk, request.tok, plain(wire.from_struct(request.args)), caller) | override
                hidden = functions.SECRET.get(request.tok, ())
                return {key: secret(value) if key in hidden else value for key, value in found.items()}

            return messages.InvokeResponse(**{"return": wire.to_struct(_guarded(context, ask))})

        # --- what they share

        def _life(self, urn: str) -> Life:
            assert self._settings is not None and self._circumstances is not None
            token = urn.split("::")[2].rpartition("$")[2]
            resource = sdk.resource(token)
            return Life(sdk=sdk, resource=resource, urn=urn, settings=self._settings, circumstances=self._circumstances)

    def _property_diff(change: Change, anew: bool) -> Any:
        return messages.PropertyDiff(kind=_OPERATIONS[change.operation] + (1 if anew else 0), inputDiff=True)

    return Provider()


def _guarded(context: Any, act: Callable[[], Any]) -> Any:
    """What ``act`` gives, or a refusal as the engine shows it."""
    try:
        return act()
    except _REFUSALS as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
