"""The gRPC service that the engine calls for ``docker-build:index:Image``. Nothing is built and nothing pushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc
from plugin import wire
from plugin.changes import changes, ignored
from plugin.messages import EngineLog
from plugin.serving import notice
from plugin.values import UNKNOWN, has_unknowns, marked, plain

from docker_build import hook, image

VERSION = "0.0.22"  # the real plugin's whose behaviour it follows
NOTICE = notice("docker-build", "docker-build", "docker_build")
IMAGE = "docker-build:index:Image"


def create_servicer(log: EngineLog) -> Any:
    """The service, as an object that ``add_ResourceProviderServicer_to_server`` takes. Its folder is the program's."""
    messages, services, plugins, *_ = wire.modules()
    from google.protobuf.empty_pb2 import Empty

    class Provider(services.ResourceProviderServicer):  # type: ignore[name-defined,misc]
        """Methods not overridden answer UNIMPLEMENTED, which the engine understands."""

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugins.PluginInfo(version=VERSION)

        def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.CheckResponse(inputs=request.news)

        def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)

        def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
            log.warn(f"{NOTICE}. No image is built, and none pushed.")
            return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            return Empty()

        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
            token = request.urn.split("::")[2].rpartition("$")[2]
            if token != IMAGE:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"this stand-in knows {IMAGE} alone, and not {token}")
            news = {key: value for key, value in wire.from_struct(request.news).items() if value is not None}
            found = image.mistakes(plain(news), Path.cwd())
            return messages.CheckResponse(
                inputs=wire.to_struct(news),
                failures=[messages.CheckFailure(property=name, reason=reason) for name, reason in found],
            )

        def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
            old, new = plain(wire.from_struct(request.old_inputs)), plain(wire.from_struct(request.news))
            before = plain(wire.from_struct(request.olds))
            quiet = ("registries", "secrets") if new.get("ignoreSecretsInDiffCalculation") else ("registries",)
            leave = (*request.ignoreChanges, *quiet)
            found = [str(change) for change in changes(old, new) if not ignored(change, leave)]
            if not has_unknowns(new.get("context")) and before.get("contextHash") != image.context_hash(new, Path.cwd()):
                found.append("contextHash")
            if not found:
                return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
            return messages.DiffResponse(changes=messages.DiffResponse.DIFF_SOME, diffs=found)

        def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
            inputs = wire.from_struct(request.properties)
            made = self._made(inputs, request.preview, context)
            number = "" if request.preview else plain(made)["digest"]
            return messages.CreateResponse(id=number, properties=wire.to_struct(made))

        def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
            made = self._made(wire.from_struct(request.news), request.preview, context)
            return messages.UpdateResponse(properties=wire.to_struct(made))

        def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

        def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
            return Empty()

        @staticmethod
        def _made(inputs: dict[str, Any], preview: bool, context: Any) -> dict[str, Any]:
            made = _outputs(inputs, preview=preview)
            if not preview:
                try:
                    hook.run(plain(made), os.environ)
                except (hook.HookError, OSError) as error:
                    context.abort(grpc.StatusCode.UNKNOWN, str(error))
            return made

    return Provider()


def _outputs(inputs: dict[str, Any], *, preview: bool) -> dict[str, Any]:
    """Unknown in a preview, as nothing has been built: unless ``buildOnPreview`` asks for it and all is known."""
    given = plain(inputs)
    if preview and (has_unknowns(given) or not given.get("buildOnPreview")):
        hashed = UNKNOWN if has_unknowns(given.get("context")) else image.context_hash(given, Path.cwd())
        return {**inputs, "contextHash": hashed, "digest": UNKNOWN, "ref": UNKNOWN}
    made = image.outputs(given, image.context_hash(given, Path.cwd()))
    return marked(made, {**inputs})  # type: ignore[no-any-return]
