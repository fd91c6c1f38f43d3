"""Free-text comments: every text is built once, and a row holds the number of its text.

A text is opener + subject + opinion + closer. The opinion sets its tone; the other parts are neutral.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from mlops.simulator.streams import Floats, Ints

TONES: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""How glad each tone is, from furious to delighted."""

_OPENERS = ("The {}", "To be clear, the {}", "For me the {}", "After some weeks: the {}", "As of this month the {}")
_SUBJECTS = (
    "app", "catalogue", "player", "sound", "search", "download mode", "playlist editor", "billing page", "picture",
    "new home screen",
)  # fmt: skip
_OPINIONS: tuple[tuple[str, ...], ...] = (
    ("is terrible and I hate it", "is a horrible, awful mess", "is the worst I have paid for, really terrible",
     "is awful and broken, I am furious", "is horrible, support was useless"),
    ("is annoying", "is disappointing", "has become a bit of a problem", "is rather poor lately",
     "fails too often and nobody answers"),
    ("does what it says", "is the same as elsewhere", "has not changed for me", "could have more options",
     "is there when I open it"),
    ("is nice to use", "is good enough for my commute", "works fine for us", "is pretty decent",
     "is a pleasant surprise"),
    ("is excellent, I love it", "is wonderful and makes me happy", "is the best, simply great",
     "is fantastic, great value", "is amazing, my family loves it"),
)  # fmt: skip
_CLOSERS = (".", " since the last update.", " on my phone.", " in the evening.", ", in my case.")

PER_TONE = len(_OPENERS) * len(_SUBJECTS) * len(_OPINIONS[0]) * len(_CLOSERS)


@cache
def texts() -> tuple[str, ...]:
    """All distinct comments; text t has tone t // PER_TONE."""
    return tuple(
        opener.format(subject) + " " + opinion + closer
        for opinions in _OPINIONS
        for opinion, subject, opener, closer in product(opinions, _SUBJECTS, _OPENERS, _CLOSERS)
    )


def choose(mood: Floats, uniform: Floats) -> Ints:
    """A text for each row: its tone from the mood (standard normal scale), which text of that tone by `uniform`."""
    tone = np.searchsorted((-1.3, -0.45, 0.3, 1.1), mood)
    return tone * PER_TONE + np.floor(uniform * PER_TONE).astype(np.int64)


def tone_of(text: Ints) -> Floats:
    """The tone of each text, −1 to 1; 0 where there is none (text −1)."""
    return np.append(TONES, 0.0)[np.where(text < 0, len(TONES), text // PER_TONE)]
