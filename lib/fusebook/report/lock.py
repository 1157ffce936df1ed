"""One run at a time in a run folder: a lock that ends with its process, and tells who has it."""

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_QUIET = 120  # seconds without a sign of life after which a lock of another machine counts as left behind


@contextmanager
def locked(folder: Path) -> Iterator[Callable[[], bool]]:
    """Hold ``folder`` for this process alone; gives a function that says whether it is still there and ours.

    The lock is the system's own on the file run.lock, so that it ends with the process, however that ends; process,
    machine and time stand in it. Raises ValueError where another run works in the folder.
    """
    path = folder / "run.lock"
    handle = _open_locked(path)

    def is_ours() -> bool:
        try:
            found = path.stat()
            if time.time() - found.st_mtime > _QUIET / 6:
                os.utime(path)  # a sign of life, for other machines
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(handle))

    try:
        yield is_ours
    finally:
        if is_ours():
            with suppress(OSError):
                path.unlink()
        os.close(handle)


def _open_locked(path: Path) -> int:
    me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            taken = not _take(handle)
            owner = _owner(handle)
            quiet = time.time() - os.fstat(handle).st_mtime
            if taken or (owner.get("host", me["host"]) != me["host"] and quiet < _QUIET):
                who = ", ".join(f"{name} {owner[name]}" for name in ("pid", "since", "host") if name in owner)
                raise ValueError(
                    f"Another run works in {path.parent} ({who or 'it has just begun'}). Wait until it has ended, stop it, "
                    "or name another folder with --run."
                )
            if path.exists() and os.path.samestat(path.stat(), os.fstat(handle)):  # else its owner has just removed it
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, json.dumps(me).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int) -> bool:
    """Take the system's lock of an open file; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows keeps a file that is locked from being read, so a byte far behind its end is
        import msvcrt

        os.lseek(handle, 2**20, os.SEEK_SET)
        lock = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # noqa: E731
    else:
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
    try:
        lock()
    except OSError as error:
        return error.errno in {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK}  # a disk without locks: go on
    return True


def _owner(handle: int) -> dict:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        owner = json.loads(os.read(handle, 1000))
        return owner if isinstance(owner, dict) else {}
    except ValueError:
        return {}
