"""IP address operators (IAM User Guide, "Condition operators"): CIDR blocks of IPv4 and IPv6, no variables.

An IPv4 peer that a dual-stack socket shows as `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2) counts as the IPv4 address,
or a Deny on its block could be passed by. A request value that is no address matches nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from kms_core.policy.variables import Lookup, Match


@lru_cache(maxsize=4096)
def parse_address(text: str) -> tuple[int, int]:
    """IP version and number; IPv4 in disguise is IPv4. ValueError for no address. Cached: few peers, many requests."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.version, int(address)


def within(values: Sequence[str], _: bool) -> Match:
    """IpAddress: inside any of the blocks, a bare address being a block of one; ValueError for no block."""
    blocks = tuple(
        (network.version, int(network.netmask), int(network.network_address))
        for network in (ip_network(value, strict=False) for value in values)
    )

    def match(value: str, _: Lookup) -> bool:
        try:
            version, number = parse_address(value)
        except ValueError:
            return False
        for block, mask, first in blocks:  # noqa: SIM110 - a generator would double the cost
            if version == block and number & mask == first:
                return True
        return False

    return match
