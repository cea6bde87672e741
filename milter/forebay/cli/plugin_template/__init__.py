"""The package that `forebay plugins new` writes: the files beside this one, with the plugin's name put in.

`@NAME@` stands for the name in kebab-case, `@MODULE@` for the name of its package, `@CLASS@` for its first class.
"""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from forebay.errors import DataError, FileError, UsageError

FILES: Final = {
    "pyproject.toml.in": "pyproject.toml",
    "README.md.in": "README.md",
    "init.py.in": "src/@MODULE@/__init__.py",
    "validator.py.in": "src/@MODULE@/validator.py",
    "py.typed.in": "src/@MODULE@/py.typed",
    "test.py.in": "tests/test_@MODULE@.py",
    "gitignore.in": ".gitignore",
}
"""Each template, and where it goes. None is called `.py`, so that no tool takes it for a module of forebay."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST = 64
_IMPORTED = frozenset(
    {"Annotated", "Example", "Field", "FieldValidator", "Finding", "Gt", "Iterable", "Message", "Plugin"}
)
"""Names that the templates import."""


def write(name: str, parent: str = ".") -> tuple[str, list[str]]:
    """Write the package `name` into a new directory of that name below `parent`; return it and the paths of its files.

    Raises UsageError for a name that cannot be one, DataError for a directory that is there already, FileError where
    nothing can be written.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(f"{name!r}: a name is kebab-case, such as subject-shouts: letters a-z, digits, single hyphens")
    if _is_taken(name):
        raise UsageError(f"{name}: means something in Python or in forebay already; put a word before or behind it")
    folder = Path(parent, name)
    written: list[str] = []
    try:
        folder.mkdir()
        for template, place in FILES.items():
            path = folder / fill(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill(files(__name__).joinpath(template).read_text("utf-8"), name), "utf-8")
            written.append(str(path))
    except FileExistsError:
        raise DataError(f"{folder}: is there already; choose another name, or move it away") from None
    except OSError as error:
        raise FileError(f"{error.filename}: {error.strerror}") from None
    return str(folder), written


def _is_taken(name: str) -> bool:
    """Whether a module or a class of that name would stand in the way of another one."""
    module = fill("@MODULE@", name)
    used = {"annotated_types", "forebay", "forebay_validators", "hypothesis", "milter", "mime", "pytest", "test"}
    return module in used | sys.stdlib_module_names or keyword.iskeyword(module) or fill("@CLASS@", name) in _IMPORTED


def fill(text: str, name: str) -> str:
    """Put the name into a text, in its three forms."""
    words = name.split("-")
    forms = {"NAME": name, "MODULE": "_".join(words), "CLASS": "".join(word.capitalize() for word in words)}
    return re.sub(r"@(NAME|MODULE|CLASS)@", lambda found: forms[found[1]], text)
