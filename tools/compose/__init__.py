"""The assistant on one machine from `app/compose.yaml`: `python -m tools.compose up|down` (docs/images.md)."""
