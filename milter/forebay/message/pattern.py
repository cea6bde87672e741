"""Regular expressions that mean the same on every Python: `compile` in place of `re.compile`.

Up to Python 3.11.4 (Debian 12 has 3.11.2) a possessive repetition of a group, such as `(?:,x)*+`, keeps what its last,
failing round had consumed, so that it matches `,` (CPython issue 106052). There, each group gets an empty alternative,
`(?:,x|)*+`: a round that would fail succeeds with nothing, and ends the repetition where it began. Later Pythons get the
expression as it is written.
"""

from __future__ import annotations

import re
import sys
from typing import Any

IS_FAULTY = sys.version_info < (3, 11, 5)


def compile(expression: bytes, flags: int = 0) -> re.Pattern[bytes]:  # noqa: A001 - used as pattern.compile
    """Compile an expression with possessive repetitions. Raises re.error for one that is malformed."""
    return compile_mended(expression, flags) if IS_FAULTY else re.compile(expression, flags)


def compile_mended(expression: bytes, flags: int = 0) -> re.Pattern[bytes]:
    """Compile an expression with an empty alternative in each possessive repetition of a group.

    The parser's tree is not public; it is the one of Pythons that will not change any more.
    """
    from re import _compiler, _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - see above

    tree = _parser.parse(expression, flags)
    _mend(tree, _parser, _compiler)
    compiled: re.Pattern[bytes] = _compiler.compile(tree, flags)
    return compiled


def _mend(tree: Any, parser: Any, compiler: Any) -> None:
    """Mend the repetitions in a tree, innermost first. It is as deep as the expression, which is ours.

    A repetition of single characters has no round that can fail half-way.
    """
    mended: list[Any] = []
    for operator, argument in tree.data:
        for part in _subtrees(argument, parser):
            _mend(part, parser, compiler)
        if operator is not parser.POSSESSIVE_REPEAT or compiler._simple(argument[2]):  # noqa: SLF001 - not public
            mended.append((operator, argument))
        elif _captures(argument[2], parser):
            mended.append((parser.ATOMIC_GROUP, parser.SubPattern(tree.state, [(parser.MAX_REPEAT, argument)])))
        else:
            mended += _with_empty_alternative(argument, parser)
    tree.data[:] = mended


def _captures(tree: Any, parser: Any) -> bool:
    """Whether there is a group with a number in it: a round must undo those, and only an atomic group does.

    It remembers its rounds. Those that capture are few.
    """
    return any(
        (operator is parser.SUBPATTERN and argument[0] is not None)
        or any(_captures(part, parser) for part in _subtrees(argument, parser))
        for operator, argument in tree.data
    )


def _with_empty_alternative(argument: Any, parser: Any) -> list[Any]:
    """The rounds that must be stand before the repetition: nothing must not count as one of them."""
    least, most, body = argument
    empty = parser.SubPattern(body.state, [])
    either = parser.SubPattern(body.state, [(parser.BRANCH, (None, [body, empty]))])
    rest = most if most is parser.MAXREPEAT else most - least
    return [(parser.ATOMIC_GROUP, body)] * least + [(parser.POSSESSIVE_REPEAT, (0, rest, either))]


def _subtrees(argument: Any, parser: Any) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [part for each in argument for part in _subtrees(each, parser)]
    return []
