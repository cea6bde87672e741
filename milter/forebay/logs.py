"""Logs: one line an event, in Postfix's shape or as JSON, to standard error or to syslog.

    forebay[2413]: 4Bq1Xn2x: reject: address-unbalanced-angle: To: unbalanced "<" at byte 17; from=<a@example.org> ...
    {"time": "2026-01-31T12:00:00.123Z", "level": "info", "pid": 2413, "queue_id": "4Bq1Xn2x", "action": "reject", ...}

What came from mail is escaped and cut before it gets here, by `printable`; the formatters escape once more, so that
no text whatever can begin a line of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from logging.handlers import SysLogHandler
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forebay.config import Log

LOGGER: Final = "forebay"
"""The name of the one logger."""

_LINE_BYTES: Final = 2000
"""A line is written in one piece, so that lines of several processes do not mix: PIPE_BUF is at least 4096."""
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_SYSLOG_SOCKETS: Final = ("/dev/log", "/var/run/syslog")


def printable(text: bytes | str, limit: int = 200) -> str:
    r"""Text from mail as it may stand in a log: ASCII, other bytes as `\xff`, at most about `limit` characters."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    cut = text[: limit + 1].decode("latin-1").replace("\\", "\\\\")
    shown = _UNPRINTABLE.sub(_escape, cut)
    return shown if len(text) <= limit and len(shown) <= limit else shown[: limit - 3] + "..."


def set_up(config: Log) -> None:
    """Send what this process and its children log where the configuration says."""
    logger = logging.getLogger(LOGGER)
    handler: logging.Handler = _Syslog() if config.target == "syslog" else _StandardError()
    handler.setFormatter(JsonFormatter() if config.format == "json" else PostfixFormatter(config.target == "stderr"))
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(config.level.upper())
    logger.propagate = False


def close_inherited() -> None:
    """Give up the connection to syslog that a forked child has from its parent; the next line makes a new one."""
    for handler in logging.getLogger(LOGGER).handlers:
        handler.close()


class PostfixFormatter(logging.Formatter):
    """Lines as Postfix writes them. Standard error has no program name of its own, so it is given here."""

    def __init__(self, named: bool) -> None:
        super().__init__()
        self.named = named

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes its last line and the place it came from."""
        severity = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        line = severity + record.getMessage() + _cause(record)
        return _one_line(f"forebay[{record.process}]: {line}" if self.named else line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The event's own members, or `message`; `time` is UTC."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        members: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "pid": record.process,
        }
        event: Mapping[str, object] | None = getattr(record, "event", None)
        members |= event or {"message": record.getMessage() + _cause(record)}
        return json.dumps(members)


class _StandardError(logging.Handler):
    """One write(2) a line, so that the lines of several processes stay whole; what cannot be written is dropped."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # a log that is full or gone must not stop the mail
            os.write(2, self.format(record).encode("ascii", "backslashreplace") + b"\n")


class _Syslog(SysLogHandler):
    """The local syslog, facility mail, with the name and pid that mail administrators search for."""

    append_nul = False

    def __init__(self) -> None:
        found = next((each for each in _SYSLOG_SOCKETS if os.path.exists(each)), _SYSLOG_SOCKETS[0])  # noqa: PTH110 - a string is what the handler takes
        super().__init__(found, SysLogHandler.LOG_MAIL)

    def format(self, record: logging.LogRecord) -> str:
        return f"forebay[{record.process}]: {super().format(record)}"

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the handler's interface
        """Drop what cannot be written: a log that is gone must not stop the mail."""


def _cause(record: logging.LogRecord) -> str:
    return f": {describe_error(record.exc_info[1])}" if record.exc_info and record.exc_info[1] else ""


def describe_error(error: BaseException) -> str:
    """What an exception says, and where it was raised; it may be one whose own text cannot be had."""
    try:
        text = printable(str(error), 300)
    except BaseException:  # noqa: BLE001 - a plugin's exception can do anything
        text = "(without a text)"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({printable(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {text}{where}"


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub(_escape, text)[:_LINE_BYTES]


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
