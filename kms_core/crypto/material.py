"""Key material: made, sealed under the root of trust, and opened again when a key is used.

Material at rest is bound to its place: region, key id, material id and version are the seal's associated data, so a row
moved to another key does not open. Opened material is kept in memory, the most recently used `_KEPT` generations.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

from kms_core.crypto.root import RootOfTrust
from kms_core.crypto.secret import Secret
from kms_core.model import Material

MATERIAL_BYTES = 32
_KEPT = 4096


def _place(region: str, key_id: str, material_id: str, version: int) -> bytes:
    return "\0".join(("material", region, key_id, material_id, str(version))).encode()


def new_material(root: RootOfTrust, random: Callable[[int], bytes], region: str, key_id: str, version: int) -> Material:
    """Fresh symmetric material for a key. Its id is drawn by lot: it says nothing of the bytes."""
    material_id = hashlib.sha256(random(32)).hexdigest()
    sealed = root.seal(Secret(random(MATERIAL_BYTES)), _place(region, key_id, material_id, version))
    return Material(material_id, version, sealed)


class Materials:
    """Opened material, by key and generation."""

    def __init__(self, root: RootOfTrust) -> None:
        def unseal(region: str, key_id: str, material: Material) -> Secret:
            return root.unseal(material.sealed, _place(region, key_id, material.id, material.version))

        self._open = lru_cache(maxsize=_KEPT)(unseal)

    def open(self, region: str, key_id: str, material: Material) -> Secret:
        """The secret bytes. RootKeyError if the seal does not hold."""
        return self._open(region, key_id, material)
