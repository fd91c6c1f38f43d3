"""Which handler answers which path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api.door.messages import Refused, Route

NOTHING: Mapping[str, str] = {}


class Routes:
    """All routes. `exact` finds the hot ones in one look."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)
        self.exact = {(r.method, r.path): r for r in self.all if r.pattern is None}
        self._patterns = [r for r in self.all if r.pattern is not None]

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route and what its pattern matched; None for a path that nobody knows.

        Raises:
            Refused: 405, the path is known with other methods.
        """
        if method == "HEAD":  # the server leaves the body out
            method = "GET"
        route = self.exact.get((method, path))
        if route is not None:
            return route, NOTHING
        allowed = {r.method for r in self.all if r.pattern is None and r.path == path}
        for route in self._patterns:
            assert route.pattern is not None
            found = route.pattern.fullmatch(path)
            if found and route.method == method:
                return route, found.groupdict()
            if found:
                allowed.add(route.method)
        if not allowed:
            return None
        names = ", ".join(sorted(allowed))
        raise Refused(
            405, "method", f"{path} answers {names}, not {method}", headers=((b"allow", names.encode("ascii")),)
        )
