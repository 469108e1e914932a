"""A stand-in for Pulumi's AWS plugin, for tests. README.md says what it is and where it differs."""
