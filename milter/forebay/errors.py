"""Every error that forebay raises for an operator to read.

One hierarchy; each class maps to one exit code of sysexits(3) and to one line that says what to do. What is not in
here is a bug in forebay, and is shown with its traceback.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


class ForebayError(Exception):
    """The base: a message for the operator and the status to exit with."""

    exit_code = os.EX_SOFTWARE


class UsageError(ForebayError):
    """The command line does not make sense."""

    exit_code = os.EX_USAGE


class DataError(ForebayError):
    """The input was read, and is not what it has to be."""

    exit_code = os.EX_DATAERR


class InputError(ForebayError):
    """The input cannot be read."""

    exit_code = os.EX_NOINPUT


class UnavailableError(ForebayError):
    """A service or address that is needed cannot be had (a port in use, a socket that nobody serves)."""

    exit_code = os.EX_UNAVAILABLE


class FileError(ForebayError):
    """A file or directory of ours cannot be read or written."""

    exit_code = os.EX_IOERR


class RightsError(ForebayError):
    """The process lacks a right that it needs."""

    exit_code = os.EX_NOPERM


class StoreError(ForebayError):
    """The store cannot be read or written now."""

    exit_code = os.EX_TEMPFAIL


class StoreVersionError(ForebayError):
    """The store is of another version than this program."""

    exit_code = os.EX_CONFIG


class JournalError(ForebayError):
    """The sidecar's journal cannot be read or written now: a full disk, a lock, a file that is gone."""

    exit_code = os.EX_IOERR


class NoQueueError(UnavailableError):
    """An MTA whose quarantine forebay cannot act on: nothing is known of what it holds."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a configuration: where it stands (a TOML path such as `milter.workers`) and what to do."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class ConfigError(ForebayError):
    """The configuration is wrong: all of its mistakes at once, each with its place."""

    exit_code = os.EX_CONFIG

    def __init__(self, source: str, mistakes: list[Mistake]) -> None:
        self.source = source
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{source}: {mistake}" for mistake in mistakes))
