"""The embedded default data: a streaming subscription whose customers are seen once a month, and whose risk is known.

`customers` subscribe at any time: whoever leaves is followed by a new sign-up next month, so a table has exactly
customers × months rows. The world has memory (satisfaction, payment history) and the true probability of each row
depends on that row's columns alone, so its AUC is the best that any model can reach.
"""

from __future__ import annotations

from mlops.simulator.business import simulate
from mlops.simulator.columns import SCHEMA

__all__ = ["SCHEMA", "simulate"]
