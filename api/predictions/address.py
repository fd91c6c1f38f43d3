"""Where the prediction log is: the URL, checked when the service starts, without its password when it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlops.errors import MlopsError, nearest

SCHEMES = ("sqlite", "postgresql", "postgres", "off")
CHOICES = "use sqlite:///PATH, postgresql://USER@HOST/DATABASE or off"


class LogError(MlopsError):
    """The prediction log is set up in a way that cannot work."""


class LogUnavailable(MlopsError):  # noqa: N818 - what it is, not that it is an error
    """The prediction log cannot be reached now; the same request may succeed later."""


@dataclass(frozen=True)
class Address:
    """kind: sqlite, postgresql or off; shown: for logs and errors; path: of the file; conninfo: libpq's parameters."""

    kind: str
    shown: str
    path: Path = Path()
    conninfo: str = ""
    password: str = ""

    def redact(self, text: object) -> str:
        """A message as one line in which the password does not stand."""
        line = " ".join(str(text).split())
        for secret in {self.password, quote(self.password, safe="")} - {""}:
            line = line.replace(secret, "***")
        return line


def parse(url: str) -> Address:
    """The address that a URL names.

    Raises:
        LogError: it names none, or its driver is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if url == "off":
        return Address("off", "off")
    if scheme == "sqlite" and separator:
        return _sqlite(rest)
    if scheme in ("postgresql", "postgres") and separator:
        return _postgresql(url)
    word = re.split(r"[:/@?=]", url)[0]  # only the scheme is shown: what follows may hold a password
    shown = repr(word) if re.fullmatch(r"[A-Za-z][A-Za-z0-9+]{0,15}", word) else "what it says"
    raise LogError(f"MLOPS_LOG: {shown} is no kind of prediction log{nearest(word, SCHEMES)}; {CHOICES}")


def _sqlite(rest: str) -> Address:
    if not rest.startswith("/"):
        raise LogError("MLOPS_LOG: a path follows three slashes, sqlite:///data/log/predictions.sqlite; an absolute "
                       "one makes them four")  # fmt: skip
    path = rest[1:]
    if not path or path.endswith("/") or path == ":memory:":
        raise LogError("MLOPS_LOG: sqlite:/// names no file; write for example sqlite:///data/log/predictions.sqlite")
    return Address("sqlite", f"sqlite:///{path}", path=Path(path))


def _postgresql(url: str) -> Address:
    try:
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise LogError(
            "MLOPS_LOG: a PostgreSQL log needs psycopg; install it with `pip install 'psycopg[binary]'`"
        ) from error
    try:
        given = {k: str(v) for k, v in conninfo_to_dict(url).items() if v is not None}
    except Error:
        # The driver's own words may repeat the password.
        raise LogError("MLOPS_LOG: this is no PostgreSQL address; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
                       "and percent-encode special characters of the password") from None  # fmt: skip
    host, port, database = given.get("host", "localhost"), given.get("port", "5432"), given.get("dbname", "")
    return Address("postgresql", f"postgresql://{host}:{port}/{database}", conninfo=url,
                   password=given.get("password", ""))  # fmt: skip
