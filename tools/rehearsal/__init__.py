"""The whole life of a stack on AWS without an account: the real engine and a real Kubernetes, AWS by the tests' stand-ins."""
