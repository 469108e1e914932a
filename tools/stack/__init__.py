"""The commands a person types against a stack: ``make up``, ``ask``, ``say``, ``outputs``, ``logs``, ``down``."""
