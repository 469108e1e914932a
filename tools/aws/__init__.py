"""What the commands do for a stack on AWS: what must be there, where the state lies, secrets, and what is left behind."""
