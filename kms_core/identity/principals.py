"""Whether a principal that a policy names is one of ours: to name nobody is a mistake, and AWS refuses it."""

from kms_core.arn import Arn
from kms_core.keystore.contract import Snapshot
from kms_core.keystore.topics import ACCOUNTS, USERS, user_id


def exists(snapshot: Snapshot, principal: str) -> bool:
    """Whether an AWS principal (`*`, an account, its root, a user's ARN or unique id) exists here."""
    if principal == "*":
        return True
    if principal.isdigit():
        return snapshot.get(ACCOUNTS, principal) is not None
    try:
        parsed = Arn.parse(principal)
    except ValueError:
        return any(user.user_id == principal for user in snapshot.all(USERS).values())
    if parsed.resource == "root":
        return snapshot.get(ACCOUNTS, parsed.account) is not None
    user = snapshot.get(USERS, user_id(parsed.account, parsed.resource.rpartition("/")[2]))
    return user is not None and user.arn == principal
