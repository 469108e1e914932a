"""A Kubernetes that is a file: for the life of a stack where no cluster is to be had, or none is worth its minutes."""
