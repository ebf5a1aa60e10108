"""The condition keys that a request carries, as `evaluate` reads them: cheap ones at hand, dear ones made when asked.

Names are lower-case. Sources: IAM user guide, "AWS global condition context keys"; each operation adds its own.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from kms_core.caller import RequestFacts

Value = str | tuple[str, ...]


class RequestContext(Mapping[str, Value]):
    """A mapping whose `later` entries are computed at their first use; None from one of these means absent."""

    __slots__ = ("_later", "_values")

    def __init__(self, values: dict[str, Value], later: Mapping[str, Callable[[], Value | None]]) -> None:
        self._values = values
        self._later = later

    def __getitem__(self, name: str) -> Value:
        found = self._values.get(name)
        if found is None:
            maker = self._later.get(name)
            found = maker() if maker is not None else None
            if found is None:
                raise KeyError(name)
            self._values[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.keys() | {name for name, maker in self._later.items() if maker() is not None})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def request_context(
    facts: RequestFacts,
    resource_account: str,
    values: Mapping[str, Value],
    later: Mapping[str, Callable[[], Value | None]],
) -> RequestContext:
    """The global keys that follow from the request's circumstances, and the operation's own."""
    service = facts.via_service
    return RequestContext(
        {
            "aws:securetransport": "true" if facts.secure else "false",
            "aws:requestedregion": facts.region,
            "aws:resourceaccount": resource_account,
            "aws:viaawsservice": "true" if service else "false",
            **values,
        },
        {
            "aws:sourceip": lambda: None if service else facts.client_ip,
            "aws:useragent": lambda: facts.user_agent,
            "aws:currenttime": lambda: datetime.fromtimestamp(facts.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:epochtime": lambda: str(int(facts.at)),
            "aws:calledvia": lambda: (service.split(".")[0] + ".amazonaws.com",) if service else None,
            "aws:calledviafirst": lambda: service.split(".")[0] + ".amazonaws.com" if service else None,
            "aws:calledvialast": lambda: service.split(".")[0] + ".amazonaws.com" if service else None,
            **later,
        },
    )
