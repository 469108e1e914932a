"""Structured logs: one JSON object a line on standard error, UTC, safe against injected line breaks and terminal codes.

Bind what identifies the work (``log = get_logger().bind(event=…)``) and log facts as fields. No message text and no secret
is logged: the fields are identifiers, states, counts and durations.
"""

from __future__ import annotations

import json
import logging
import sys

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(service: str, level: str = "info") -> None:
    """Set the process's logging up; called once, by a process's entry point."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service(service),
        # Without local variables, which structlog shows by default: they hold prompts and keys.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    # JSON escapes CR, LF and ESC, so a hostile field stays inside its own record.
    encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode

    def renderer(_logger: object, _method: str, record: structlog.typing.EventDict) -> str:
        return encode(record)

    # Ours are written without a detour by way of `logging`, which costs more than all the rest of a line.
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    # Their lines repeat ours, and a client library's line may hold a URL with credentials.
    for name in ("uvicorn.access", "uvicorn.error", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(**fields: object) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger.bind(**fields) if fields else logger


def _service(name: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
        record["service"] = name
        return record

    return add
