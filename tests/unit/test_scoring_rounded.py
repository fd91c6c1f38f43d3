"""Many probabilities are rounded at once to what `round` makes of each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from api.routes.scoring import DECIMALS, rounded

HALVES = st.integers(0, 10**DECIMALS - 1).map(lambda k: (2 * k + 1) / (2 * 10**DECIMALS))
"""As close to a half of the last decimal as floats come; a few steps further is drawn from `STEPS`."""
STEPS = st.integers(-3, 3)


def stepped(p: float, steps: int) -> float:
    for _ in range(abs(steps)):
        p = float(np.nextafter(p, np.inf if steps > 0 else 0))
    return p


@given(st.lists(st.floats(0, 1) | st.builds(stepped, HALVES, STEPS), min_size=1))
def test_many_are_rounded_as_each(p: list[float]) -> None:
    assert rounded(np.array(p)).tolist() == [round(x, DECIMALS) for x in p]
