"""What is secret in the configuration is told to nobody else."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from forebay import config as configuration
from forebay.errors import ConfigError
from forebay.testing import Message, milter_service

SECRET: Final = "correct-horse"
STORE: Final = f'[store]\nurl = "postgresql+psycopg://forebay:{SECRET}@127.0.0.1:1/forebay"\n'
HELD: Final = '[policy.actions]\n"*" = "quarantine"\n'
DEADLINE: Final = 60.0


def titles(session: int) -> str:
    """The names and command lines of all processes of a session."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if int((each / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found += [(each / "comm").read_text(), (each / "cmdline").read_text()]
        except OSError:
            continue
    return "\n".join(found)


def test_the_password_of_the_store_is_told_to_nobody() -> None:
    """It stands in no log, no process title, no metric and no answer of a command, while the store cannot be reached."""
    with milter_service(HELD + STORE) as service:
        service.send(Message.parse(b"From: a@example.org\nTo: joe@@example.com\n"))
        until = time.monotonic() + DEADLINE
        while "127.0.0.1:1" not in service.log():
            assert time.monotonic() < until, service.log()
            time.sleep(0.05)
        told = [service.log(), titles(service.process.pid)]
        assert "forebay-worker" in told[1]
        for path in ("metrics", "healthz"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/{path}", timeout=DEADLINE) as answer:
                    told.append(answer.read().decode())
            except urllib.error.HTTPError as error:  # not healthy, but nothing may be told for all that
                with error:
                    told.append(error.read().decode())
        for command in (("status", "--json"), ("quarantine", "list"), ("fingerprints", "list"), ("store", "migrate")):
            program = "from forebay.cli.main import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", program, *command, "--config", str(service.config)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            told.append(done.stdout + done.stderr)
        assert SECRET not in "\n".join(told)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("password", [SECRET, f"p@{SECRET}", f"{SECRET}@p"])
def test_a_mistake_in_a_url_is_told_without_its_password(tmp_path: Path, scheme: str, password: str) -> None:
    """Who mistypes it finds the rest of it in the log, also where the password has an @ that is not encoded."""
    file = tmp_path / "forebay.toml"
    file.write_text(STORE.replace("postgresql+psycopg", scheme).replace(SECRET, password))
    with pytest.raises(ConfigError) as told:
        configuration.load(str(file))
    assert f"(got '{scheme}://forebay:***@127.0.0.1:1/forebay')" in str(told.value)
    assert SECRET not in str(told.value)
