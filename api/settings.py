"""The service's settings: read from the environment and checked when it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from api.door.keys import Keys, parse_keys
from mlops.errors import MlopsError, nearest

PREFIX = "MLOPS_"
OTHERS = ("MLOPS_TRACEBACK",)
"""Names that belong to the library, not to the service."""


class SettingsError(MlopsError):
    """An environment variable of the service says something that cannot be."""


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g} is needed")
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} is needed")
        return int(text)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)} is needed{nearest(text, words)}")
        return text

    return read


def _stage(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", text):
        raise ValueError("the name of a stage is needed, such as prod")
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise ValueError(f"{origin!r} is no origin such as https://crm.example.com")
    return origins


def _keys(text: str) -> Keys:
    keys = parse_keys(text.split(","))
    if not keys.names:
        raise ValueError("it holds no key; without the variable no key is asked for")
    return keys


def _by(read: Callable[[str], Any], meaning: str) -> dict[str, Any]:
    return {"read": read, "help": meaning}


@dataclass(frozen=True)
class Settings:
    """Every setting is the environment variable of its name in capitals after MLOPS_: stage is MLOPS_STAGE."""

    models: Path = field(default=Path("models"), metadata=_by(Path, "folder with production/ and serving/"))
    policy: Path = field(
        default=Path("policy.yaml"), metadata=_by(Path, "where variant weights stand when state.json has none")
    )
    stage: str = field(default="prod", metadata=_by(_stage, "which stage's version is served"))
    unpromoted: str = field(
        default="serve", metadata=_by(_one_of("serve", "refuse"), "whether models/serving/ is served before promotion")
    )
    poll_seconds: float = field(
        default=0.5, metadata=_by(_number(0.05, 3600), "how often models/production/ is looked at")
    )
    host: str = field(default="127.0.0.1", metadata=_by(str, "address that `python -m api` listens on"))
    port: int = field(
        default=8000, metadata=_by(_whole(0, 65535), "port that `python -m api` listens on; 0 takes a free one")
    )
    workers: int = field(default=1, metadata=_by(_whole(1, 256), "processes that `python -m api` starts"))
    run_dir: str | None = field(
        default=None, metadata=_by(str, "folder that all workers of one server share; needed under gunicorn")
    )
    max_body_bytes: int = field(
        default=10 << 20, metadata=_by(_whole(1, 1 << 30), "largest body, also after inflating")
    )
    max_rows: int = field(default=100_000, metadata=_by(_whole(1, 10_000_000), "most records in one request"))
    max_concurrency: int = field(
        default=512, metadata=_by(_whole(1, 100_000), "most requests in flight in a worker, else 503")
    )
    body_seconds: float = field(
        default=10.0, metadata=_by(_number(0.1, 3600), "a body must have arrived by then, else 408")
    )
    request_seconds: float = field(
        default=60.0, metadata=_by(_number(0.1, 3600), "a large request must be answered by then, else 504")
    )
    drain_seconds: int = field(
        default=10, metadata=_by(_whole(0, 3600), "after SIGTERM, requests in flight have so long")
    )
    rate_per_minute: int | None = field(
        default=None, metadata=_by(_whole(1, 100_000_000), "requests a minute of one key and worker")
    )
    api_keys: Keys = field(default=Keys(()), metadata=_by(_keys, "name:sha256 of each key, by commas"))
    api_keys_file: Path | None = field(default=None, metadata=_by(Path, "file of name:sha256 lines"))
    cors_origins: tuple[str, ...] = field(default=(), metadata=_by(_origins, "web pages that may call, by commas"))
    log: str = field(
        default="sqlite:///data/log/predictions.sqlite",
        metadata=_by(str, "prediction log: sqlite:///…, postgresql://… or off"),
    )
    log_max_days: float = field(
        default=90.0, metadata=_by(_number(0.001, 36_500), "predictions older than this are deleted")
    )
    log_max_mb: int = field(default=1024, metadata=_by(_whole(1, 1 << 30), "the log is kept below this size"))
    log_queue: int = field(
        default=100_000, metadata=_by(_whole(100, 10_000_000), "predictions kept in memory while the log is away")
    )
    log_seconds: float = field(default=0.5, metadata=_by(_number(0.01, 1), "how often the log is written"))
    access_log: str = field(
        default="errors", metadata=_by(_one_of("errors", "all", "off"), "which requests are logged as JSON lines")
    )

    @property
    def production(self) -> Path:
        """The folder of promoted versions."""
        return self.models / "production"

    @property
    def workspace(self) -> Path:
        """The folder of the model that the pipeline made last."""
        return self.models / "serving"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment asks for; an empty variable counts as not set.

    Raises:
        SettingsError: a variable that is not known or says what cannot be.
    """
    given = {
        k: v for k, v in (os.environ if environment is None else environment).items() if k.startswith(PREFIX) and v
    }
    known = {PREFIX + f.name.upper(): f for f in fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name in OTHERS:
            continue
        if name not in known:
            raise SettingsError(f"{name} is not a setting{nearest(name, known) or '; see docs/service.md'}")
        try:
            values[known[name].name] = known[name].metadata["read"](text)
        except ValueError as error:
            shown = "(hidden)" if "KEYS" in name else repr(text)
            raise SettingsError(f"{name} is {shown}: {error}; correct the environment and start again") from None
    settings = Settings(**values)
    return _with_key_file(settings) if settings.api_keys_file else settings


def _with_key_file(settings: Settings) -> Settings:
    path = settings.api_keys_file
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        keys = parse_keys([line for line in lines if not line.lstrip().startswith("#")])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"MLOPS_API_KEYS_FILE: {path}: {reason}; correct it and start again") from None
    if not keys.names:
        raise SettingsError(f"MLOPS_API_KEYS_FILE: {path} holds no key; without the variable no key is asked for")
    both = Keys((*settings.api_keys.entries, *keys.entries))
    return Settings(**{f.name: getattr(settings, f.name) for f in fields(Settings)} | {"api_keys": both})
