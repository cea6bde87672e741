"""What the author of a plugin tests it with.

Messages are built byte by byte, validators run under the runner that the milter runs them under, and a whole milter
can be started on a private socket and spoken to. `forebay.testing.strategies` (it needs hypothesis) makes messages
at random.

Everything is imported when it is first used: pytest loads this package in every run on a machine that has forebay, and
what is imported before a coverage tool starts would count as never run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forebay.testing.asserting import assert_found, assert_verdict
    from forebay.testing.examples import run_examples
    from forebay.testing.linearity import assert_linear
    from forebay.testing.message import Message
    from forebay.testing.milter_client import Answer, MilterClient
    from forebay.testing.running import Runner, run, verdict
    from forebay.testing.service import MilterService, milter_service

__all__ = [
    "Answer",
    "Message",
    "MilterClient",
    "MilterService",
    "Runner",
    "assert_found",
    "assert_linear",
    "assert_verdict",
    "milter_service",
    "run",
    "run_examples",
    "verdict",
]

_HOME = {
    "Answer": "milter_client",
    "Message": "message",
    "MilterClient": "milter_client",
    "MilterService": "service",
    "Runner": "running",
    "assert_found": "asserting",
    "assert_linear": "linearity",
    "assert_verdict": "asserting",
    "milter_service": "service",
    "run": "running",
    "run_examples": "examples",
    "verdict": "running",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
