"""The doctor for a whole stack, from outside: its processes one by one, each by the doctor in its own place, and what only the
outside sees."""
