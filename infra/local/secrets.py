"""The stack's secrets: generated once, encrypted in the stack's state, and laid out as files for ``NAME_FILE``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.generated.values import digest, generate, renewed
from infra.local.layout import Layout
from infra.local.private_files import file_status, make_private_directory, read_text, remove_empty, write_private
from infra.local.provider import LocalProvider, Props, changed_inputs, inputs_of, present, update_or_replace


class SecretsProvider(LocalProvider):
    """Inputs: ``stateDirectory``, ``versions``. Outputs besides, all by name: ``values`` (secret), ``digests``, ``files``."""

    def create(self, props: Props) -> CreateResult:
        values = {name: generate(name) for name in sorted(props["versions"])}
        directory = _write(props, values)
        return CreateResult(str(directory), _outputs(props, values))

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, _outputs(props, props["values"]))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if any(status != "ok" for status in olds.get("files", {}).values()):
            changed.append("files")
        return update_or_replace(changed, replaced_by=frozenset({"stateDirectory"}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        values = renewed(olds["values"], olds["versions"], news["versions"])
        directory = _write(news, values)
        for name in olds["values"].keys() - values.keys():
            (directory / name).unlink(missing_ok=True)
        return UpdateResult(_outputs(news, values))

    def delete(self, _id: str, props: Props) -> None:
        layout = Layout(Path(props["stateDirectory"]))
        for name in props["values"]:
            (layout.secrets / name).unlink(missing_ok=True)
        remove_empty(layout.secrets, layout.root)


def _write(props: Props, values: Mapping[str, str]) -> Path:
    layout = Layout(Path(props["stateDirectory"]))
    make_private_directory(layout.root)
    make_private_directory(layout.secrets)
    for name, value in values.items():
        if file_status(layout.secrets / name, read_text(layout.secrets / name) == value) != "ok":
            write_private(layout.secrets / name, value)
    return layout.secrets


def _outputs(props: Props, values: Mapping[str, str]) -> Props:
    directory = Layout(Path(props["stateDirectory"])).secrets
    return {
        **inputs_of(props),
        "values": dict(values),
        "digests": {name: digest(value) for name, value in values.items()},
        "files": {name: file_status(directory / name, read_text(directory / name) == value) for name, value in values.items()},
    }


class Secrets(Resource, module="local", name="Secrets"):
    """``values`` by name, a Pulumi secret; ``digests`` by name, which tell a process that a secret of its has changed."""

    values: pulumi.Output[dict[str, str]]
    digests: pulumi.Output[dict[str, str]]
    files: pulumi.Output[dict[str, str]]

    def __init__(
        self, name: str, *, state_directory: Path, versions: Mapping[str, int], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            SecretsProvider(),
            name,
            {
                "stateDirectory": str(state_directory),
                "versions": dict(versions),
                "values": None,
                "digests": None,
                "files": None,
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["values"])),
        )
