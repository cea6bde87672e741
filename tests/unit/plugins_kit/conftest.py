"""A virtual environment for authors' commands: made in a blink, since it borrows what this one has installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).resolve().parents[3] / "plugins" / "examples"

PROGRAMS = {
    "forebay": "from forebay.cli.main import main; main()",
    "mypy": "from mypy.__main__ import console_entry; console_entry()",
    "pip": "from pip._internal.cli.main import main; import sys; sys.exit(main())",
    "pytest": "import pytest, sys; sys.exit(pytest.console_main())",
}


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """Run a shell script in a fresh virtual environment and a folder of its own; what it printed. It must not fail."""
    python = _environment(tmp_path / "venv")
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "MYPY_CACHE_DIR": str(tmp_path.parent / "mypy"),  # what it knows of forebay serves all of them
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path("~/.cache/pip").expanduser())),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
    }
    for name in ("PIP_INDEX_URL", "PIP_CERT", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if name in os.environ:
            environment[name] = os.environ[name]

    def run(script: str) -> str:
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", script), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"status {done.returncode}:\n{done.stdout}"
        return done.stdout

    return run


@pytest.fixture
def local_plugins(tmp_path: Path) -> Path:
    """The worked examples in a directory that forebay trusts, whatever the owner and mode of this checkout."""
    folder = tmp_path / "local"
    folder.mkdir(mode=0o755)
    for path in EXAMPLES.glob("*.py"):
        copy = folder / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o644)
    return folder


def _environment(folder: Path) -> Path:
    """A virtual environment that sees the packages of the running one; its interpreter."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, code in PROGRAMS.items():
        (python.parent / name).write_text(f"#!{python}\n{code}\n")
        (python.parent / name).chmod(0o755)
    (python.parent / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    return python
