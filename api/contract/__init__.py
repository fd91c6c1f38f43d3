"""What the model's signature accepts: requests decoded and checked, one row fast, many rows by column."""

from api.contract.contract import Contract
from api.contract.table import Table

__all__ = ["Contract", "Table"]
