"""The configuration: every setting with its default, and the one function that loads them.

One TOML file. Every setting has a default, so the file can be absent. All mistakes are reported at once, each with
its place in the file and what to write instead. What is loaded is frozen.
"""

import grp
import os
import socket
import tomllib
from collections.abc import Callable
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from forebay.config_mistakes import Place, check, dotted, nearest
from forebay.config_router import Router, Sidecar
from forebay.config_store import Fingerprints, Quarantine, Store
from forebay.config_types import (
    AbsolutePath,
    Actions,
    Count,
    FieldName,
    Flag,
    HostPort,
    Line,
    Listen,
    Mode,
    Net,
    Seconds,
    Size,
    Tables,
    Text,
)
from forebay.errors import ConfigError, FileError, InputError, Mistake, RightsError

DEFAULT_PATH = "/etc/forebay/forebay.toml"
ENVIRONMENT = "FOREBAY_CONFIG"

_SECTION = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _socket_group() -> str:
    """The group of Postfix, whose processes must be able to connect, where there is one."""
    try:
        return grp.getgrnam("postfix").gr_name
    except KeyError:
        return ""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Milter:
    """The service at SMTP time."""

    listen: Listen = "unix:/run/forebay/milter.sock"
    """Where the MTA connects: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST."""
    workers: Count = 0
    """Processes that serve sessions; 0 means as many as suit the CPUs."""
    metrics: HostPort = "127.0.0.1:9891"
    """Where /metrics and /healthz are served; empty for nowhere."""
    user: Text = "forebay"
    """The user to become when started as root."""
    socket_group: Text = field(default_factory=_socket_group)
    """The group that may connect to a unix socket; postfix where that group exists."""
    socket_mode: Mode = 0o660
    """The mode of a unix socket, in octal digits between quotation marks."""
    drain_time: Seconds = 60.0
    """Seconds that sessions get to end in at a stop or reload."""
    worker_memory: Size = 256 << 20
    """Memory of one worker above which it drains and is replaced, in bytes or with a unit; 0 means any."""
    hang_time: Seconds = 5.0
    """Seconds of running time after which a validator that does not come back is ended, with its worker."""
    max_connections: Annotated[Count, Gt(0)] = 1000
    """Sessions that all workers together serve at once; further ones are answered with a temporary error."""
    reply_url: Line = ""
    """A URL that a refusal ends with, where the sender can read what to do."""
    tag_field: FieldName = "X-Forebay"
    """The name of the field that tags a message."""
    hostname: Line = field(default_factory=socket.gethostname)
    """The name that this host signs its tags with."""
    state: AbsolutePath = "/var/lib/forebay"
    """The directory of what outlives a restart."""
    runtime: AbsolutePath = "/run/forebay"
    """The directory of what does not."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Exempt:
    """Who is judged more softly. See the README for what is softened, and what never is."""

    networks: tuple[Net, ...] = ()
    """Clients for whom hygiene is at most tagged, and a rejection becomes a quarantine."""
    authenticated: Flag = True
    """The same for authenticated clients."""
    recipients: tuple[Text, ...] = ()
    """Addresses and @domains for whom hygiene is at most tagged, if all recipients of the message are listed."""
    full: tuple[Net, ...] = ()
    """Clients for whom nothing is judged at all."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Policy:
    """What findings lead to."""

    preset: Literal["observe", "protect", "strict"] = "protect"
    """observe refuses nothing, and counts and logs what protect would do; strict refuses what RFC 7103 says ought to be refused."""
    actions: Actions = field(default_factory=dict)
    """Validator id, or a glob of ids, = accept, tag, quarantine or reject. The id goes before globs, a longer glob before a shorter one."""
    exempt: Exempt = field(default_factory=Exempt)
    reject_at_rcpt: Flag = False
    """Whether a bad recipient is refused alone, in answer to RCPT."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Plugins:
    """Where validators come from, besides installed packages."""

    directory: AbsolutePath = ""
    """A directory of single-file plugins, owned by root or the service's user and writable by nobody else."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Log:
    """How events are written down."""

    format: Literal["postfix", "json"] = "postfix"
    """Lines in the shape of Postfix's, or one JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe events that are written."""
    target: Literal["stderr", "syslog"] = "stderr"
    """Standard error (a service manager's journal), or syslog's mail facility."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Config:
    """All settings. `source` names where they were read from."""

    milter: Milter = field(default_factory=Milter)
    policy: Policy = field(default_factory=Policy)
    validators: Tables = field(default_factory=dict)
    """Per validator id: its options, and `enabled`, `on_error`, `null_sender`."""
    plugins: Plugins = field(default_factory=Plugins)
    router: Router = field(default_factory=Router)
    sidecar: Sidecar = field(default_factory=Sidecar)
    store: Store = field(default_factory=Store)
    quarantine: Quarantine = field(default_factory=Quarantine)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    log: Log = field(default_factory=Log)
    source: str = field(default="(defaults)", init=False)

    @property
    def private_state(self) -> Path:
        """The sidecar's own directory: whoever writes there, commands it."""
        return Path(self.sidecar.state or f"{self.milter.state}-sidecar")


def load(path: str | None = None, also: Callable[[Config], list[Mistake]] | None = None) -> Config:
    """Read `path`, else what FOREBAY_CONFIG names, else the default path, else nothing but defaults.

    `also` looks for further mistakes (of plugins and their options) in what could be read, so that all are reported
    together. Raises ConfigError with every mistake, InputError for a file that was named and is not there,
    RightsError or FileError for one that cannot be read.
    """
    source, data = _read(path or os.environ.get(ENVIRONMENT) or None)
    config: Config
    config, mistakes = check(_ADAPTER, data, _hint)
    object.__setattr__(config, "source", source)
    if also:
        mistakes += also(config)
    if mistakes:
        raise ConfigError(source, mistakes)
    return config


def load_understood(path: str | None = None) -> Config:
    """What can be understood of the configuration, mistakes and all: enough to find a service that runs.

    Raises InputError, RightsError or FileError where the file cannot be read, and ConfigError where it is not TOML.
    """
    source, data = _read(path or os.environ.get(ENVIRONMENT) or None)
    config: Config
    config, _ = check(_ADAPTER, data, _hint)
    object.__setattr__(config, "source", source)
    return config


def settings(config: Config) -> dict[str, object]:
    """Every setting outside `[validators.*]` as (place, value), in the order of the sections."""
    return dict(_walk(config, ()))


def schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors that complete and check TOML."""
    return _ADAPTER.json_schema()


_ADAPTER: TypeAdapter[Config] = TypeAdapter(Config)


def _read(named: str | None) -> tuple[str, dict[str, Any]]:
    path = named or DEFAULT_PATH
    try:
        with Path(path).open("rb") as file:
            return path, tomllib.load(file)
    except FileNotFoundError:
        if named:
            raise InputError(f"{path}: no such file; give the configuration with --config or {ENVIRONMENT}") from None
        return "(defaults)", {}
    except PermissionError:
        raise RightsError(f"{path}: this user may not read the configuration") from None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [Mistake("", f"not TOML: {error}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [Mistake("", f"not UTF-8 at byte {error.start + 1}")]) from None


def _hint(place: Place) -> str:
    """Help with a setting that does not exist: one of that name elsewhere, or the nearest name in its section."""
    name = str(place[-1])
    elsewhere = [known for known in settings(Config()) if known.rpartition(".")[2] == name]
    if elsewhere:
        return f"; it belongs at {elsewhere[0]}"
    section: Any = Config()
    for part in place[:-1]:
        section = getattr(section, str(part), None)
    return nearest(name, [each.name for each in fields(section) if each.init]) if is_dataclass(section) else ""


def _walk(section: Any, place: Place) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for each in fields(section):
        value = getattr(section, each.name)
        here = (*place, each.name)
        if is_dataclass(value):
            found += _walk(value, here)
        elif each.init and each.name != "validators":
            found.append((dotted(here), _tables(value) if each.name == "services" else value))
    return found


def _tables(services: Any) -> dict[str, dict[str, object]]:
    """Tables of settings as the file has them: what is not written there is left out."""
    return {
        name: {each.name: value for each in fields(table) if (value := getattr(table, each.name)) is not None}
        for name, table in services.items()
    }
