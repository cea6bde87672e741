"""The house: what may stand where, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {"pyproject.toml", "milter", "plugins", "tests", "grafana", "README.md", "LICENSE"}
MOST_LINES = 400

# Who may import whom, by the first part of the module's name below forebay.
COMMON = {"errors", "config", "metrics", "logs", "files"}
ALLOWED = {
    "message": {"message"},
    "errors": {"errors"},
    "files": {"files"},
    "config": {"config", "errors"},
    "logs": {"logs", "errors", "config"},
    "metrics": {"metrics", "errors", "config", "message"},
    "api": {"api", "message", "files"},
    "judge": {"judge", "api", "message", *COMMON},
    "records": {"records", "files"},
    "store": {"store", "records", "api", "message", *COMMON},
    "smtp": {"smtp", "store", "records", "judge", "api", "message", *COMMON},
    "sidecar": {"sidecar", "store", "records", "judge", "api", "message", *COMMON},
    "quickstart": {"quickstart", "errors", "message"},
    "testing": {"testing", "judge", "smtp", "api", "message", *COMMON},
    "cli": {"cli", "sidecar", "store", "records", "smtp", "quickstart", "testing", "judge", "api", "message", *COMMON},
}


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def modules(root: str) -> list[Path]:
    return sorted((ROOT / root).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules of forebay that a file imports, by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in {"forebay", "forebay_validators"}}


def room(name: str) -> str:
    """The room of a module: `forebay.judge.runner.Judge` is in judge, `forebay.config_types.X` in config."""
    part = name.split(".")[1] if "." in name else ""
    return part.split("_")[0]


def test_the_top_level_is_as_designed() -> None:
    """Nothing stands at the top but what the design names, and dot files."""
    names = {path.relative_to(ROOT).parts[0] for path in tracked("*")}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("root", ["milter", "plugins"])
def test_source_roots_are_no_packages(root: str) -> None:
    """A file __init__.py there would shadow pymilter's C module and break everything."""
    assert not (ROOT / root / "__init__.py").exists()


def test_tests_are_no_package_and_have_names_of_their_own() -> None:
    """Test files are imported by name so each name stands once; pytest takes each conftest.py by its path."""
    names = [path.name for path in tracked("tests/*.py") if path.name != "conftest.py"]
    assert "__init__.py" not in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", tracked("*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_long(path: Path) -> None:
    """One idea a file."""
    assert len(path.read_bytes().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", modules("milter"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    """The one direction: message <- api <- judge <- smtp <- cli, and nothing back."""
    here = path.relative_to(ROOT / "milter").with_suffix("").parts
    if len(here) == 2 and here[1] == "__init__":
        return
    allowed = ALLOWED[here[1].split("_")[0]]
    rooms = {room(name) for name in imported(path)}
    assert rooms <= allowed | {""}


def test_only_the_keeper_of_the_milter_knows_the_store() -> None:
    """No database is in the way of mail: a worker writes files, and the keeper reads them."""
    users = [path.name for path in modules("milter/forebay/smtp") if "store" in {room(name) for name in imported(path)}]
    assert users == ["bookkeeper.py"]


@pytest.mark.parametrize("path", modules("plugins"), ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_the_api_only(path: Path) -> None:
    """The built-in validators are plugins like any other."""
    foreign = {name for name in imported(path) if not name.startswith(("forebay.api", "forebay_validators"))}
    assert foreign == set()


@pytest.mark.parametrize("path", modules("milter/forebay/sidecar/routers"), ids=lambda path: path.stem)
def test_adapters_import_their_interface_only(path: Path) -> None:
    """The built-in router adapters are plugins like any other; one may have parts, named after it."""
    own = f"forebay.sidecar.routers.{path.stem.partition('_')[0]}_"
    assert {name for name in imported(path) if not name.startswith(("forebay.api.router", own))} == set()


@pytest.mark.parametrize("path", tracked("tests/**/test_*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Each test has a docstring."""
    tree = ast.parse(path.read_bytes())
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("path", tracked("*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lint_exception_names_its_rule(path: Path) -> None:
    """No blanket `noqa` and no blanket `type: ignore`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blanket = [line for line in lines if line.rstrip().endswith(("# " + "noqa", "# type: " + "ignore"))]
    assert blanket == []


def test_the_message_layer_never_uses_the_email_package() -> None:
    """It is one of the routers that die."""
    users = [
        path
        for root in ("milter", "plugins")
        for path in modules(root)
        for node in ast.walk(ast.parse(path.read_bytes()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "email" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "email")
    ]
    assert users == []
