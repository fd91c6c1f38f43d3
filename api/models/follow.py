"""Keep what serves equal to what models/production/ says; a model that is broken never replaces one that works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from api.models.choose import POLICY, SHADOW, Choice, Trouble
from api.models.variant import Serving
from api.settings import Settings
from mlops import production

RETRY_SECONDS = (2.0, 60.0)
"""A refused version is tried again after so long, each time after twice as long, up to the second."""
Stamp = tuple[tuple[int, int, int] | None, ...]

log = logging.getLogger("api.models")


@dataclass(frozen=True)
class Failure:
    """A trouble, and since when (seconds since 1970)."""

    trouble: Trouble
    since: float


class Models:
    """Follows the folder of promoted versions. `current` is replaced whole; readers take it once per request.

    Args of its making: the settings; `changed(new, old)`, called after each swap; `failed(failure)`, called for each
    new failure, and with None when some are over. Both are called in the thread that follows.
    """

    def __init__(
        self,
        settings: Settings,
        changed: Callable[[Serving, Serving | None], None],
        failed: Callable[[Failure | None], None],
    ) -> None:
        self.current: Serving | None = None
        self.failures: Mapping[tuple[str, str], Failure] = {}
        self._settings, self._changed, self._failed = settings, changed, failed
        self._seen: Stamp | None = None
        self._wait, self._due = RETRY_SECONDS[0], 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load what there is, then follow it in a thread of its own."""
        self.look()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; what serves stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(self._settings.poll_seconds):
            self.look()

    def look(self) -> None:
        """Load what changed on disk since the last look. What was refused is tried again, ever less often."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._wait = RETRY_SECONDS[0]
        elif not self.failures or time.monotonic() < self._due:
            return
        self._seen = stamp
        try:
            choice = Choice(self._settings, self.current)
            serving, troubles = choice.serving, choice.troubles
        except Exception as error:
            log.exception("looking at models/production failed")
            serving, troubles = self.current, [Trouble(self._settings.stage, None, "fault", repr(error))]
        self._note(troubles)
        self._due, self._wait = time.monotonic() + self._wait, min(2 * self._wait, RETRY_SECONDS[1])
        if serving is not None and serving != self.current:
            old, self.current = self.current, serving
            self._changed(serving, old)

    def _stamp(self) -> Stamp:
        """What changes whenever somebody promotes, trains or edits the policy."""
        settings = self._settings
        files = (
            settings.production / production.STATE,
            settings.policy,
            settings.workspace / "manifest.json",
        )
        return tuple(_mark(file) for file in files)

    def _note(self, troubles: Iterable[Trouble]) -> None:
        before = self.failures
        failures = {}
        for trouble in troubles:
            key = (trouble.stage, trouble.kind)
            known = before.get(key)
            failures[key] = known if known is not None and known.trouble == trouble else Failure(trouble, time.time())
        self.failures = failures
        if before.keys() - failures.keys():
            self._failed(None)
        for key, failure in failures.items():
            if before.get(key) is not failure:
                log.error("stage %s: %s; %s", key[0], failure.trouble.reason, self._what_stays(*key))
                self._failed(failure)

    def _what_stays(self, stage: str, kind: str) -> str:
        if kind == POLICY:
            return "the shares stay as they are"
        current = self.current
        kept = None if current is None else current.shadow if stage == SHADOW else current.variants.get(stage)
        return f"{kept.version} goes on serving" if kept else "nothing serves in its place"


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
