"""Commands about the model that a stack names."""
