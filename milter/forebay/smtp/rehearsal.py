"""`forebay milter --dry-run`: configuration and plugins are loaded as the service would load them, and that is all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from forebay.errors import ForebayError
from forebay.smtp import processes, reload, template
from forebay.smtp.helper import Helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.config import Config
    from forebay.smtp.channel import Channel
    from forebay.smtp.template import Load


def rehearse(config: Config, load: Load) -> None:
    """Load everything, as the user that the service becomes. Raises a ForebayError where it could not serve."""
    processes.fill_standard_descriptors()
    body: Callable[[Channel], object] = partial(template.prepare, config, load)
    helper = Helper.start("template", body, ())
    try:
        message = helper.line.receive()
    finally:
        helper.end()
    if message is None:
        raise ForebayError("the process that loads plugins ended")
    if message.verb == "failed":
        raise reload.error_of(message)
