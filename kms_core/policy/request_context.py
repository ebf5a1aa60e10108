"""The condition keys that a request carries, as `evaluate` reads them: cheap ones at hand, dear ones made when asked.

Names are lower-case. Sources: IAM user guide, "AWS global condition context keys"; each operation adds its own.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from kms_core.caller import RequestFacts

Value = str | tuple[str, ...]


def _service(facts: RequestFacts) -> str | None:
    """The calling service's principal, from its regional name."""
    return None if facts.via_service is None else facts.via_service.split(".")[0] + ".amazonaws.com"


def _called_via(facts: RequestFacts) -> Value | None:
    service = _service(facts)
    return None if service is None else (service,)


_LATER: Mapping[str, Callable[[RequestFacts], Value | None]] = {
    "aws:sourceip": lambda facts: None if facts.via_service else facts.client_ip,
    "aws:useragent": lambda facts: facts.user_agent,
    "aws:currenttime": lambda facts: datetime.fromtimestamp(facts.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "aws:epochtime": lambda facts: str(int(facts.at)),
    "aws:securetransport": lambda facts: "true" if facts.secure else "false",
    "aws:requestedregion": lambda facts: facts.region,
    "aws:viaawsservice": lambda facts: "true" if facts.via_service else "false",
    "aws:calledvia": _called_via,
    "aws:calledviafirst": _service,
    "aws:calledvialast": _service,
}


class RequestContext(Mapping[str, Value]):
    """The operation's own keys, and the global ones that follow from the request's circumstances, made when asked."""

    __slots__ = ("_facts", "_values")

    def __init__(self, facts: RequestFacts, values: Mapping[str, Value]) -> None:
        self._facts = facts
        self._values = values

    def __getitem__(self, name: str) -> Value:
        found = self._values.get(name)
        if found is None:
            maker = _LATER.get(name)
            found = None if maker is None else maker(self._facts)
            if found is None:
                raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.keys() | {name for name, maker in _LATER.items() if maker(self._facts) is not None})

    def __len__(self) -> int:
        return sum(1 for _ in self)
