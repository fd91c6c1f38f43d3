"""models/production/ followed: versions loaded, warmed up, swapped in, and customers routed between variants."""

from api.models.follow import Models
from api.models.variant import Serving, Variant

__all__ = ["Models", "Serving", "Variant"]
