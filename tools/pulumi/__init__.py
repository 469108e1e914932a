"""The Pulumi engine of the pinned version: found on this machine, downloaded, or built. Standard library only.

`python -m tools.pulumi` prints the folder to put on PATH. `docs/decisions/engine.md` has the reasons.
"""
