"""Regular expressions that mean the same on every Python: `compile` in place of `re.compile`.

Up to Python 3.11.4 (Debian 12 has 3.11.2) a possessive repetition of a group, such as `(?:,x)*+`, keeps what its last,
failing round had consumed, so that it matches `,` (CPython issue 106052). There, each is compiled as the atomic group
that it is short for, `(?>(?:,x)*)`, which does not have the fault. Later Pythons get the expression as it is written.
"""

from __future__ import annotations

import re
import sys
from typing import Any

IS_FAULTY = sys.version_info < (3, 11, 5)


def compile(expression: bytes, flags: int = 0) -> re.Pattern[bytes]:  # noqa: A001 - used as pattern.compile
    """Compile an expression with possessive repetitions. Raises re.error for one that is malformed."""
    return compile_atomic(expression, flags) if IS_FAULTY else re.compile(expression, flags)


def compile_atomic(expression: bytes, flags: int = 0) -> re.Pattern[bytes]:
    """Compile an expression with an atomic group for each possessive repetition of a group.

    The parser's tree is not public; it is the one of Pythons that will not change any more.
    """
    from re import _compiler, _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - see above

    tree = _parser.parse(expression, flags)
    _make_atomic(tree, _parser, _compiler)
    compiled: re.Pattern[bytes] = _compiler.compile(tree, flags)
    return compiled


def _make_atomic(tree: Any, parser: Any, compiler: Any) -> None:
    """Replace the possessive repetitions in a tree, innermost first. It is as deep as the expression, which is ours.

    A repetition of single characters has no round that can fail half-way.
    """
    for index, (operator, argument) in enumerate(tree.data):
        for part in _subtrees(argument, parser):
            _make_atomic(part, parser, compiler)
        if operator is parser.POSSESSIVE_REPEAT and not compiler._simple(argument[2]):  # noqa: SLF001 - not public
            repeated = parser.SubPattern(tree.state, [(parser.MAX_REPEAT, argument)])
            tree.data[index] = (parser.ATOMIC_GROUP, repeated)


def _subtrees(argument: Any, parser: Any) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [part for each in argument for part in _subtrees(each, parser)]
    return []
