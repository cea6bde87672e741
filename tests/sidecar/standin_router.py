"""A router to be guarded, as nasty as those that were measured: see ROUTER STYLES in `main`.

What it does with a message is written in the message's field X-Do; without one it parses the header with the standard
library's email package, and so dies of what that really dies of. A message that is done goes to the file `delivered`
(one line: its Message-ID, a semicolon, and who did it) and leaves the spool.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import email
import email.policy
import errno
import fcntl
import os
import re
import resource
import signal
import socket
import sys
import time
from pathlib import Path

DO = re.compile(rb"^X-Do: *(\S+) *(\S*)", re.MULTILINE)
ID = re.compile(rb"^Message-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)
HOARD: list[bytearray] = []


def eat(megabytes: int, forever: bool = True) -> None:
    """Allocate and touch memory; a failed allocation is tried again after a sleep, for ever (as ZMailer's)."""
    while megabytes > 0:
        try:
            HOARD.append(bytearray(b"x" * (1 << 20)))
            megabytes -= 1
        except MemoryError:
            if not forever:
                raise
            print("out of memory, sleeping", file=sys.stderr, flush=True)
            time.sleep(60)


def act(what: bytes, how: bytes, data: bytes) -> int:
    """Do as the message says; the exit status it asks for, or 0 to deliver it."""
    if what == b"memory":
        eat(int(how or 4096))
    elif what == b"stall":  # a ulimit turns a death into a hang
        size = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize() + (40 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))
        eat(4096)
    elif what == b"hold":  # much, and not too much
        eat(int(how))
        time.sleep(5)
        HOARD.clear()
    elif what == b"need":  # for this message, and not at once: what it has before it comes to its leaf is not counted
        time.sleep(0.2)
        eat(int(how))
        HOARD.clear()
    elif what == b"leak":  # n squared on syntax errors
        eat(data.count(b"[") ** 2 >> 20)
    elif what == b"cpu":
        until = time.process_time() + float(how or 3600)
        while time.process_time() < until:
            pass
    elif what == b"sleep" or (what == b"dns" and dns_is_out()):
        time.sleep(float(how or 3600))
    elif what == b"crash" or (what == b"frail" and dns_is_out()):
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == b"abort":
        os.abort()
    elif what == b"exit":
        return int(how or 1)
    elif what == b"disk":
        with Path(os.environ["STANDIN_TMP"], f"{socket.gethostname()}:{os.getpid()}").open("wb") as file:
            for _ in range(int(how or 512)):
                file.write(b"x" * (1 << 20))
                file.flush()
        Path(file.name).unlink()
    elif what == b"helper":
        helper(int(how or 4096))
    elif what == b"stream":  # read a large file: page cache, and no memory of its own
        large = os.open(how, os.O_RDONLY)  # never closed: that would drop the lock that another descriptor has on it
        while os.read(large, 1 << 20):
            pass
    elif what == b"append":
        with Path(os.fsdecode(how)).open("ab") as file:
            file.write(b"x" * (1 << 20))
    return 0


def dns_is_out() -> bool:
    """The tests' DNS is out while this file exists."""
    return Path(os.environ.get("STANDIN_OUTAGE", "/nonexistent")).exists()


def helper(megabytes: int) -> None:
    """A child that dies of too much memory, while this process lives."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
        eat(megabytes)
        os._exit(0)
    os.waitpid(pid, 0)


def process(data: bytes, delivered: str) -> int:
    """Route one message; 0 when it is delivered."""
    found = DO.search(data)
    if "--crash-always" in sys.argv:
        os.kill(os.getpid(), signal.SIGSEGV)
    if found:
        status = act(found[1], found[2], data)
        if status:
            return status
    else:
        header = data.partition(b"\n\n")[0]
        parsed = email.message_from_bytes(header + b"\n\n", policy=email.policy.default)
        for name in ("From", "To", "Cc"):
            str(parsed[name])
    identity = ID.search(data)
    log = os.open(delivered, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, (identity[1] if identity else b"?") + b";%d\n" % os.getpid())
    os.close(log)
    return 0


def route(path: str, delivered: str, lock: bool, block: bool = False) -> None:
    """Open, lock, route and finish one file; leave it where somebody else has it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return
    try:
        if lock:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if block else fcntl.LOCK_NB))
            if not os.path.exists(path):
                return
        data = os.pread(descriptor, 1 << 20, 0)  # closing any other descriptor of it would drop the lock
        status = process(data, delivered)
        if status:
            os._exit(status)
        while not finished(path):
            time.sleep(0.05)  # it is delivered: who tried it again would deliver it again
    except OSError:
        return
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def finished(path: str) -> bool:
    """As ZMailer: into queue/ with a twin in transport/; elsewhere the file goes. False where the disk is full."""
    office = Path(path).parent.parent
    if not (office / "transport").is_dir():
        os.unlink(path)
        return True
    inode = str(os.stat(path).st_ino)
    hidden = office / "transport" / f".{inode}"
    try:
        hidden.write_bytes(b"control")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise
    os.rename(path, office / "queue" / inode)
    hidden.rename(office / "transport" / inode)
    with contextlib.suppress(OSError):  # what the transport agents do
        os.unlink(office / "transport" / inode)
        os.unlink(office / "queue" / inode)
    return True


def route_pair(paths: list[str], arguments: argparse.Namespace) -> None:
    """A router that has several messages open at once, whichever of them it works on."""
    held = [os.open(path, os.O_RDONLY) for path in paths]
    time.sleep(0.3)
    for path in paths:
        route(path, arguments.delivered, lock=False)
    for each in held:
        os.close(each)


def work(arguments: argparse.Namespace) -> None:
    """A worker: takes what it finds, for ever."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a busy one ignores it
    if arguments.die_with_parent:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    while True:
        busy = False
        if arguments.pairs:
            names = sorted(each for each in os.listdir(arguments.spool) if os.path.isfile(f"{arguments.spool}/{each}"))
            busy = bool(names)
            route_pair([f"{arguments.spool}/{each}" for each in names[:2]], arguments)
        for name in [] if arguments.pairs else sorted(os.listdir(arguments.spool)):
            path = f"{arguments.spool}/{name}"
            if name.startswith(".") or not os.path.isfile(path):
                continue
            if arguments.style in {"old", "new"} and not name[0].isdigit():
                continue
            if arguments.style == "old" and not (path := claim(arguments.spool, name)):
                continue
            busy = True
            route(path, arguments.delivered, arguments.style != "old", arguments.block)
        if not busy:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(arguments.idle)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def claim(spool: str, name: str) -> str:
    """ZMailer's of 1998: take a plain name, or that of a dead router; the new path, or nothing."""
    inode, _, pid = name.partition("-")
    if pid and os.path.exists(f"/proc/{pid}"):
        return ""
    mine = f"{spool}/{inode}-{os.getpid()}"
    try:
        os.rename(f"{spool}/{name}", mine)
    except OSError:
        return ""
    return mine


def fork_worker(arguments: argparse.Namespace) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(arguments)
        except BaseException:
            os._exit(1)
    return pid


def main() -> None:
    """ROUTER STYLES. old: forks without a supervisor, claims by name. new: a parent that forks children again, claims
    by a lock. open: as new, any file names. single: routes the one file that it is given.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", choices=["old", "new", "open", "single"], default="open")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--scan", type=float, default=0.5)
    parser.add_argument("--block", action="store_true")
    parser.add_argument("--daemon", action="store_true")
    parser.add_argument("--detach-time", type=float, default=0.0)
    parser.add_argument("--idle", type=float, default=0.02)
    parser.add_argument("--die-with-parent", action="store_true")
    parser.add_argument("--crash-always", action="store_true")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("spool")
    parser.add_argument("delivered")
    arguments = parser.parse_args()
    if arguments.style == "single":
        data = Path(arguments.spool).read_bytes()
        status = process(data, arguments.delivered)
        if not status:
            os.unlink(arguments.spool)
        sys.exit(status)
    if arguments.daemon and os.fork():
        os._exit(0)
    if arguments.daemon:
        time.sleep(arguments.detach_time)
        os.setsid()
        if os.fork():
            os._exit(0)
    children = {fork_worker(arguments) for _ in range(arguments.workers)}
    if arguments.style == "old":
        os._exit(0)
    ended = 0
    while True:  # each is forked again so long after its end at least: the routers that were measured wait for seconds
        time.sleep(arguments.scan)
        children |= {fork_worker(arguments) for _ in range(ended)}
        ended = 0
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
                ended += pid in children
                children.discard(pid)


if __name__ == "__main__":
    main()
