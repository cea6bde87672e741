"""What pytest gets from forebay: one fixture. Registered as a plugin by the entry point group `pytest11`.

Nothing of forebay is imported here before the fixture is used. Whoever wants none of it runs pytest with
`-p no:forebay`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.testing.service import MilterService


@pytest.fixture
def forebay_milter() -> Iterator[Callable[[str], MilterService]]:
    """Start a real milter: `forebay_milter(config)` with TOML as in forebay.toml. It ends with the test."""
    from contextlib import ExitStack  # noqa: PLC0415 - imported when used: see the module

    from forebay.testing.service import milter_service  # noqa: PLC0415 - the same

    with ExitStack() as stack:

        def start(config: str = "") -> MilterService:
            return stack.enter_context(milter_service(config))

        yield start
