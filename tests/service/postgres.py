"""A PostgreSQL server of our own, and a wire to it that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.service.server import free_port

USER = "postgres"


def program(name: str) -> str:
    """Where one of PostgreSQL's programs is."""
    found = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        message = f"no PostgreSQL here (looked for {name}); Debian: apt-get install postgresql"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


class Postgres:
    """A server on a free port of 127.0.0.1. It does not run as root: then it is the user it was installed with."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's folders are closed to other users
        self._data = self.folder / "data"
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        self._run("initdb", "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")

    def _run(self, name: str, *words: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*as_user, program(name), "-D", str(self._data), *words],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "postgres.log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop at once: clients lose their connections."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def remove(self) -> None:
        """Stop, if it runs, and leave nothing behind."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The address of a database on this server."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"


class Wire:
    """Hands bytes on between clients and a server. After `cut_after` passed to the server, its next answer is lost.

    The server did what it was asked for, and the client never learns it.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_after = b""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            cut = threading.Event()
            for source, sink, asking in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, sink, asking, cut), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, asking: bool, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if cut.is_set() and not asking:
                    self.cuts += 1
                    break
                if asking and self.cut_after and self.cut_after in data:
                    self.cut_after = b""
                    cut.set()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
