"""The gRPC service that the engine calls (pulumi/provider.proto), in the words of the API server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
from plugin import wire
from plugin.changes import Change, changes, ignored, property_path
from plugin.messages import EngineLog
from plugin.serving import notice
from plugin.values import has_unknowns, marked, plain, secret

from kubernetes import configuration
from kubernetes.api import ApiError, UnknownKindError, UnreachableError
from kubernetes.awaiting import NotReadyError
from kubernetes.configuration import Cluster
from kubernetes.difference import Mutable, replaces, same_object
from kubernetes.naming import from_token, named, resource_name
from kubernetes.objects import MANAGER_FIELD, Objects
from kubernetes.projection import projected

VERSION = "4.34.2"  # the real plugin's whose behaviour it follows
NOTICE = notice("kubernetes", "Kubernetes", "kubernetes")
_FAILURES = (ApiError, UnreachableError, UnknownKindError)
_OPERATIONS = {"add": 0, "delete": 2, "update": 4}  # PropertyDiff.Kind; the odd ones are the same with a replacement


def create_servicer(log: EngineLog) -> Any:
    """The service, as an object that ``add_ResourceProviderServicer_to_server`` takes."""
    messages, services, plugins, _, _, statuses = wire.modules()
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.empty_pb2 import Empty

    class Provider(services.ResourceProviderServicer):  # type: ignore[name-defined,misc]
        """Methods not overridden answer UNIMPLEMENTED, which the engine understands."""

        def __init__(self) -> None:
            self._cancelled = threading.Event()
            self._cluster: Cluster | None = None

        # --- the provider itself

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugins.PluginInfo(version=VERSION)

        def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.CheckResponse(inputs=request.news)

        def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = wire.from_struct(request.old_inputs or request.olds), wire.from_struct(request.news)
            found = list(changes(plain(old), plain(new)))
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            before, after = configuration.server(old), configuration.server(new)
            moved = before is not None and after is not None and before != after
            return messages.DiffResponse(
                changes=messages.DiffResponse.DIFF_SOME,
                diffs=[str(change) for change in found],
                replaces=[str(change) for change in found] if moved else [],
            )

        def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
            log.warn(NOTICE)
            self._cluster = configuration.connect(wire.from_struct(request.args), log.warn)
            if self._cluster.problem:
                log.warn(f"No cluster is reachable: {self._cluster.problem}")
            return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            self._cancelled.set()
            return Empty()

        # --- one resource

        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
            news, olds = wire.from_struct(request.news), wire.from_struct(request.olds)
            if request.autonaming.proposed_name and not (news.get("metadata") or {}).get("name"):
                news["metadata"] = {**(news.get("metadata") or {}), "name": request.autonaming.proposed_name}
            news = named(news, resource_name(request.urn), olds)
            failures: list[tuple[str, str]] = []
            if self._cluster and self._cluster.api:
                news = self._objects(request.urn).in_namespace(news)
                unchanged = plain(news) == plain(olds)  # what the server took already would meet itself in its own dry run
                failures = [] if unchanged or has_unknowns(news) else self._objects(request.urn).mistakes(plain(news))
            return messages.CheckResponse(
                inputs=wire.to_struct(news),
                failures=[messages.CheckFailure(property=path, reason=reason) for path, reason in failures],
            )

        def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = plain(wire.from_struct(request.old_inputs)), plain(wire.from_struct(request.news))
            leave = tuple(request.ignoreChanges)
            found = [change for change in changes(old, new) if not ignored(change, leave)]
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            mutable = self._cluster.mutable if self._cluster else Mutable()
            kind = (new["apiVersion"], new["kind"])
            anew = [change for change in found if replaces(change, *kind, mutable)]
            return messages.DiffResponse(
                changes=messages.DiffResponse.DIFF_SOME,
                replaces=[str(change) for change in anew],
                diffs=list(dict.fromkeys(property_path(change.path[:1]) for change in found)),
                detailedDiff={str(change): _property_diff(change, change in anew) for change in found},
                hasDetailedDiff=True,
                deleteBeforeReplace=bool(anew) and same_object(old, new),
            )

        def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs = wire.from_struct(request.properties)
            if request.preview and (has_unknowns(inputs) or not self._reachable()):
                return messages.CreateResponse(properties=wire.to_struct(inputs))
            objects = self._objects(request.urn, context)
            if request.preview:
                self._guarded(context, lambda: objects.rehearse(plain(inputs)))
                return messages.CreateResponse(properties=wire.to_struct(inputs))
            live = self._guarded(context, lambda: objects.create(plain(inputs), request.timeout), inputs)
            return messages.CreateResponse(id=objects.id(live), properties=_outputs(live, inputs))

        def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs, olds = wire.from_struct(request.news), wire.from_struct(request.olds)
            if request.preview and (has_unknowns(inputs) or not self._reachable()):
                return messages.UpdateResponse(properties=wire.to_struct({**olds, **inputs}))
            objects = self._objects(request.urn, context)
            manager = str(plain(olds).get(MANAGER_FIELD) or "")
            wanted = objects.less_ignored(plain(inputs), tuple(request.ignoreChanges))
            live = self._guarded(
                context, lambda: objects.update(wanted, manager, request.timeout, dry_run=request.preview), inputs
            )
            return messages.UpdateResponse(properties=_outputs(live, inputs))

        def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
            if self._given_up():
                return messages.ReadResponse()
            inputs, olds = wire.from_struct(request.inputs), wire.from_struct(request.properties)
            objects = self._objects(request.urn, context)
            api_version, kind = from_token(request.urn.split("::")[2].split("$")[-1])
            known = plain(inputs) or {"apiVersion": api_version, "kind": kind}
            live = self._guarded(context, lambda: objects.read(known, request.id), inputs)
            if live is None:
                return messages.ReadResponse()
            live.setdefault(MANAGER_FIELD, plain(olds).get(MANAGER_FIELD) or "")
            seen = marked(projected(live, plain(inputs)), inputs) if inputs else _imported(live)
            try:
                if inputs:
                    objects.require_ready(live)
            except NotReadyError as error:
                self._fail(context, objects.id(live), live, seen, error.reasons)
            return messages.ReadResponse(id=objects.id(live), properties=_outputs(live, inputs), inputs=wire.to_struct(seen))

        def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
            if self._given_up():
                return Empty()
            objects = self._objects(request.urn, context)
            known = plain(wire.from_struct(request.old_inputs)) or plain(wire.from_struct(request.properties))
            self._guarded(context, lambda: objects.delete(known, request.id, request.timeout))
            return Empty()

        def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"this stand-in does not know the function {request.tok}")

        # --- what they share

        def _reachable(self) -> bool:
            return bool(self._cluster and self._cluster.api)

        def _given_up(self) -> bool:
            return bool(self._cluster and not self._cluster.api and self._cluster.delete_unreachable)

        def _objects(self, urn: str, context: Any = None) -> Objects:
            cluster = self._cluster
            assert cluster is not None
            if cluster.api is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, f"no cluster is reachable: {cluster.problem}")
            assert cluster.api is not None
            return Objects(cluster.api, cluster.namespace, cluster.force, self._cancelled, lambda line: log.status(line, urn))

        def _guarded(self, context: Any, act: Callable[[], Any], inputs: dict[str, Any] | None = None) -> Any:
            """What ``act`` gives, or an error in the words of the API server; an object that exists but is not ready goes
            into the state with it."""
            try:
                return act()
            except NotReadyError as error:
                live = dict(error.document)
                self._fail(context, Objects.id(live), live, inputs or {}, error.reasons)
            except ApiError as error:
                details = "".join(f"\n  {cause['field']}: {cause['message']}" for cause in error.causes)
                hint = "\nServer-Side Apply field conflict detected." if error.code == 409 and error.causes else ""
                context.abort(grpc.StatusCode.UNKNOWN, f"{error}{details if error.code == 409 else ''}{hint}")
            except _FAILURES as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))

        @staticmethod
        def _fail(context: Any, number: str, live: dict[str, Any], inputs: dict[str, Any], reasons: tuple[str, ...]) -> None:
            detail = AnyMessage()
            detail.Pack(
                messages.ErrorResourceInitFailed(
                    id=number, properties=_outputs(live, inputs), inputs=wire.to_struct(inputs), reasons=list(reasons)
                )
            )
            target = f"{live['kind']} {number}"
            text = f"{target} was accepted by the API server, but is not ready"
            status = statuses.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=text, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, text)

    def _property_diff(change: Change, anew: bool) -> Any:
        return messages.PropertyDiff(kind=_OPERATIONS[change.operation] + (1 if anew else 0), inputDiff=True)

    return Provider()


def _outputs(live: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """The live object as the state keeps it: what is secret in the inputs stays so, and a Secret's data always is."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    document = {**marked({**live, "metadata": metadata}, inputs), "__initialApiVersion": live["apiVersion"]}
    if live["kind"] == "Secret" and "data" in live:
        document["data"] = secret(live["data"])
    return wire.to_struct(document)


def _imported(live: dict[str, Any]) -> dict[str, Any]:
    """Inputs for an object that only the cluster knows so far."""
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in live["metadata"]}
    return {key: value for key, value in live.items() if key not in ("status", MANAGER_FIELD)} | {"metadata": metadata}
