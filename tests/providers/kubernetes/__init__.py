"""A stand-in for Pulumi's Kubernetes plugin, for tests. README.md says what it is and where it differs."""
