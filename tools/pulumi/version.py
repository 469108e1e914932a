"""The one place that names versions of the engine and of what builds it."""

PULUMI_VERSION = "3.251.0"
"""Equal to the pinned PyPI `pulumi` and to `tools/pulumi/go.mod`; tests/tools/pulumi/test_version.py holds them together."""

GO_MINIMUM = (1, 25, 11)
"""Go that the CLI's module asks for: the `go` directive of go.mod."""
