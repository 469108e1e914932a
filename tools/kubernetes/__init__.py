"""A genuine Kubernetes on one machine, out of Debian packages and Go modules where no container registry is reachable."""
