"""The container images: built with the engine that runs here. `python -m tools.images` (docs/images.md)."""
