"""Sets a checkout up before any virtual environment exists. Standard library only."""
