"""Moments as people type and read them: `2026-03-15 14:00` is by the clock on this machine's wall."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from mlops.errors import RegistryError

FORMS = "2026-03-15 14:00, 2026-03-15T14:00:00Z, 2026-03-15 14:00+01:00 or 2026-03-15 14:00 Europe/Berlin"


def parse(text: str) -> datetime:
    """A moment: with an offset, Z or the name of a time zone; without any, in this machine's own.

    Raises:
        RegistryError: it is no moment, or lies in the future.
    """
    words = text.split()
    zone = words.pop() if len(words) > 1 and words[-1][:1].isalpha() else ""
    try:
        found = datetime.fromisoformat(" ".join(words))
        if zone:
            if found.tzinfo is not None:
                raise ValueError("an offset and a time zone")
            found = found.replace(tzinfo=ZoneInfo(zone))
        found = found.astimezone(UTC)
        if found.year < 1971:
            raise ValueError("before there was a clock to ask")
    except (ValueError, OSError, OverflowError, KeyError) as error:  # an unknown zone is a KeyError
        raise RegistryError(f"{text!r} is no moment; type {FORMS}") from error
    if found > datetime.now(UTC):
        raise RegistryError(f"{text!r} is in the future ({shown(found)}); nobody knows yet what will be served")
    return found


def shown(moment: datetime) -> str:
    """A moment for people: by the wall's clock, with its offset from UTC."""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {offset(local)}"


def offset(moment: datetime | None = None) -> str:
    """How far this machine's wall clock is from UTC at a moment, or now."""
    text = (moment or datetime.now(UTC)).astimezone().strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def iso(moment: datetime) -> str:
    """A moment for programs: UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(moment: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
