"""What a change would do to a stack, before it does it: for the person who reviews it, and as an exit code."""
