"""A third-party plugin's whole life: begun, packed, installed, configured, at work behind a real Postfix, taken off."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import private_folder, private_postfix
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import MilterService, milter_service
from mta.wheels import run

ROOT = Path(__file__).resolve().parents[2]
SENDER, RECIPIENT = b"<jane@example.org>", b"<joe@example.com>"
MESSAGE = (
    b"From: jane@example.org\r\nTo: joe@example.com\r\nDate: Tue, 25 Nov 2025 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nSubject: wwwwwwwwwwwwww\r\n\r\nHello\r\n"
)
CONFIG = """\
[policy.actions]
long-word = "reject"

[validators.long-word]
longest_word = 10
"""
FINDING = 'forebay_findings_total{validator="long-word"}'


def plugins(forebay: Path) -> list[str]:
    """The names of the plugins that an installed forebay finds."""
    return [
        json.loads(line)["plugin"]
        for line in run(forebay, "plugins", "list", "--json", cwd=forebay.parent).splitlines()
    ]


def send(port: int, message: bytes) -> str:
    """What Postfix answers to a message."""
    with RawClient(port) as client:
        return client.send(SENDER, (RECIPIENT,), message).last.text


def await_log(service: MilterService, text: str) -> None:
    """Wait until the milter has logged this."""
    end = time.monotonic() + 60
    while text not in service.log():
        assert time.monotonic() < end, service.log()
        time.sleep(0.05)


def test_a_plugin_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """A plugin of `plugins new`, as a wheel beside forebay's in a fresh environment, refuses mail until it is removed."""
    dist = tmp_path / "dist"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", dist, ROOT, cwd=tmp_path)
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    pip, forebay = tmp_path / "venv/bin/pip", tmp_path / "venv/bin/forebay"
    run(pip, "install", "--quiet", *dist.glob("forebay-*.whl"), cwd=tmp_path)
    run(forebay, "plugins", "new", "long-word", cwd=tmp_path)
    run(pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", dist, tmp_path / "long-word", cwd=tmp_path)
    assert plugins(forebay) == ["builtin"]
    run(pip, "install", "--quiet", *dist.glob("long_word-*.whl"), cwd=tmp_path)
    assert plugins(forebay) == ["builtin", "long-word"]

    with (
        private_folder() as folder,
        milter_service(CONFIG, milter='socket_mode = "0666"\nworkers = 1\n', program=(str(forebay),)) as service,
        private_postfix(unpack("postfix", ROOT / ".cache"), folder, smtpd_milters=service.address) as postfix,
    ):
        answer = send(postfix.port, MESSAGE)
        assert answer == "550 5.6.0 Subject: word of more than 10 bytes (long-word)"
        assert "long-word: Subject: word of more than 10 bytes; from=<jane@example.org>" in service.log()
        assert service.metrics()[FINDING] == 1
        assert send(postfix.port, MESSAGE.replace(b"w" * 14, b"hello")).startswith("250 ")

        run(pip, "uninstall", "--quiet", "--yes", "long-word", cwd=tmp_path)
        assert plugins(forebay) == ["builtin"]
        told = run(forebay, "config", "check", "--config", service.config, cwd=tmp_path, status=os.EX_CONFIG)
        assert "validators.long-word: no validator of that name" in told
        service.config.write_text(service.config.read_text().replace(CONFIG, ""))
        service.reload()
        await_log(service, "reloaded: ")
        assert send(postfix.port, MESSAGE).startswith("250 ")
