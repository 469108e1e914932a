"""A stand-in for Pulumi's docker-build plugin, for tests: no image is built. README.md says what it is and where it differs."""
