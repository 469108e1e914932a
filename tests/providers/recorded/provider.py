"""The gRPC service that the engine calls (pulumi/provider.proto), over a file."""

from __future__ import annotations

import os
from typing import Any

import grpc
from kubernetes.difference import Mutable, replaces, same_object
from kubernetes.naming import named, reference, resource_name
from plugin import wire
from plugin.changes import changes, ignored, property_path
from plugin.messages import EngineLog
from plugin.serving import notice
from plugin.values import plain

from recorded import jobs
from recorded.records import RefusedError, named_by

NOTICE = notice("kubernetes", "Kubernetes", "recorded") + " Nothing is admitted, scheduled or run: objects are recorded."


def create_servicer(log: EngineLog) -> Any:
    """The service, as an object that ``add_ResourceProviderServicer_to_server`` takes."""
    messages, services, plugins, *_ = wire.modules()
    from google.protobuf.empty_pb2 import Empty

    records = named_by(os.environ)

    class Provider(services.ResourceProviderServicer):  # type: ignore[name-defined,misc]
        """Methods not overridden answer UNIMPLEMENTED, which the engine understands."""

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugins.PluginInfo(version="4.34.2")

        def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.CheckResponse(inputs=request.news)

        def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            """A provider with a stable ``clusterIdentifier`` is changed in place, as the real one is; else a kubeconfig that
            changes would replace everything in the cluster."""
            old, new = (plain(wire.from_struct(item)) for item in (request.old_inputs or request.olds, request.news))
            found = list(changes(old, new))
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            moved = old.get("clusterIdentifier") != new.get("clusterIdentifier") or not new.get("clusterIdentifier")
            return messages.DiffResponse(
                changes=messages.DiffResponse.DIFF_SOME,
                diffs=[str(change) for change in found],
                replaces=[str(change) for change in found] if moved else [],
            )

        def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
            log.warn(NOTICE)
            return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
            news, olds = wire.from_struct(request.news), wire.from_struct(request.olds)
            failures = [name for name in ("apiVersion", "kind") if not news.get(name)]
            return messages.CheckResponse(
                inputs=wire.to_struct(named(news, resource_name(request.urn), olds)),
                failures=[messages.CheckFailure(property=name, reason="is required") for name in failures],
            )

        def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = plain(wire.from_struct(request.old_inputs)), plain(wire.from_struct(request.news))
            found = [change for change in changes(old, new) if not ignored(change, tuple(request.ignoreChanges))]
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            mutable = Mutable(config_map=True, secret=True)
            anew = [change for change in found if replaces(change, new["apiVersion"], new["kind"], mutable)]
            return messages.DiffResponse(
                changes=messages.DiffResponse.DIFF_SOME,
                replaces=[str(change) for change in anew],
                diffs=list(dict.fromkeys(property_path(change.path[:1]) for change in found)),
                deleteBeforeReplace=bool(anew) and same_object(old, new),
            )

        def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
            if request.preview:
                return messages.CreateResponse(properties=request.properties)
            document = plain(wire.from_struct(request.properties))
            found = reference(document)
            try:
                records.add(found.kind, found.id)
                jobs.ended(document)
            except RefusedError as error:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error))
            return messages.CreateResponse(id=found.id, properties=request.properties)

        def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.UpdateResponse(properties=request.news)

        def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

        def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
            records.remove(reference(plain(wire.from_struct(request.old_inputs or request.properties))).kind, request.id)
            return Empty()

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            return Empty()

        def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"this stand-in does not know the function {request.tok}")

    return Provider()
