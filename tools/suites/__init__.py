"""Runs the project's checks suite by suite and closes with what was proved, what was skipped and why."""
