"""What every HTTP surface of the application shares: the error body, strict JSON, limits, health, and a serve that drains."""
