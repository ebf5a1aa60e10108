"""Keys: made, described, listed, enabled and disabled, sent to their end and called back.

Here: symmetric keys with material of our making. The other specs, usages and origins are refused as unsupported.
"""

import uuid

from sqlalchemy import insert, update

from kms_core.crypto.material import new_material
from kms_core.errors import InvalidState, UnsupportedOperation, ValidationException
from kms_core.keystore import schema
from kms_core.keystore.contract import Transaction
from kms_core.keystore.topics import KEYS
from kms_core.model import Key, KeyManager, KeyState
from kms_core.operations.call import Call, Context, Operation, Output, States, Target, Tools
from kms_core.operations.kms.default_policies import default_policy
from kms_core.operations.kms.find import by_member, everything
from kms_core.operations.kms.metadata import key_metadata
from kms_core.operations.kms.paging import page
from kms_core.operations.kms.policy_check import check_new_policy
from kms_core.operations.kms.tags import check_tags, read_tags, tag_context

SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
_DAY = 86_400.0


def new_key(
    transaction: Transaction,
    tools: Tools,
    *,
    account: str,
    region: str,
    at: float,
    policy: str,
    description: str = "",
    manager: KeyManager = KeyManager.CUSTOMER,
    multi_region: bool = False,
    tags: tuple[tuple[str, str], ...] = (),
) -> Key:
    """Make a symmetric key with fresh material and write it."""
    name = uuid.UUID(bytes=tools.random(16), version=4)
    key_id = f"mrk-{name.hex}" if multi_region else str(name)
    material = new_material(tools.root, tools.random, region, key_id, 1)
    key = Key(
        key_id=key_id,
        account=account,
        region=region,
        created=at,
        state=KeyState.ENABLED,
        description=description,
        usage=ENCRYPT_DECRYPT,
        spec=SYMMETRIC,
        origin="AWS_KMS",
        manager=manager,
        multi_region=multi_region,
        deletion_at=None,
        pending_window=None,
        policy=policy,
        tags=tags,
        aliases=(),
        materials=(material,),
    )
    columns = ("key_id", "account", "region", "created", "state", "description", "usage", "spec", "origin", "manager")
    more = ("multi_region", "deletion_at", "pending_window", "policy")
    values = {column: getattr(key, column) for column in columns + more}
    connection = transaction.connection
    connection.execute(insert(schema.key).values(arn=key.arn, **values))
    connection.execute(
        insert(schema.material).values(key_arn=key.arn, version=1, id=material.id, sealed=material.sealed)
    )
    for position, (tag, value) in enumerate(tags):
        connection.execute(insert(schema.tag).values(key_arn=key.arn, name=tag, value=value, position=position))
    transaction.changed(KEYS, key.arn)
    return key


def _check_spec(call: Call) -> None:
    params = call.params
    spec, old_spec = params.maybe_text("KeySpec"), params.maybe_text("CustomerMasterKeySpec")
    if spec is not None and old_spec is not None:
        raise ValidationException("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
    spec = spec or old_spec or SYMMETRIC
    usage = params.maybe_text("KeyUsage")
    if spec != SYMMETRIC:
        if usage is None:
            raise ValidationException(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
            )
        raise UnsupportedOperation(f"KeySpec {spec} is not supported in this Region.")
    if usage not in (None, ENCRYPT_DECRYPT):
        raise ValidationException(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    if params.maybe_text("Origin") not in (None, "AWS_KMS") or params.has("CustomKeyStoreId") or params.has("XksKeyId"):
        raise UnsupportedOperation("Only keys of origin AWS_KMS are supported in this Region.")


def _create(call: Call) -> Output:
    _check_spec(call)
    params, caller = call.params, call.caller
    tags = check_tags(read_tags(params))
    policy = params.maybe_text("Policy")
    if policy is not None:
        bypass = params.flag("BypassPolicyLockoutSafetyCheck")
        check_new_policy(call, policy, account=caller.account, bypass_lockout=bypass)
    key = new_key(
        call.transaction,
        call.tools,
        account=caller.account,
        region=call.facts.region,
        at=call.facts.at,
        policy=policy if policy is not None else default_policy(caller.account),
        description=params.maybe_text("Description") or "",
        multi_region=params.flag("MultiRegion"),
        tags=tags,
    )
    call.keys.append(key)
    return {"KeyMetadata": key_metadata(key)}


def _creation_context(call: Call) -> Context:
    params = call.params
    return {
        "kms:keyspec": params.maybe_text("KeySpec") or params.maybe_text("CustomerMasterKeySpec") or SYMMETRIC,
        "kms:customermasterkeyspec": params.maybe_text("CustomerMasterKeySpec") or SYMMETRIC,
        "kms:keyusage": params.maybe_text("KeyUsage") or ENCRYPT_DECRYPT,
        "kms:customermasterkeyusage": params.maybe_text("KeyUsage") or ENCRYPT_DECRYPT,
        "kms:keyorigin": params.maybe_text("Origin") or "AWS_KMS",
        "kms:multiregion": "true" if params.flag("MultiRegion") else "false",
        "kms:bypasspolicylockoutsafetycheck": "true" if params.flag("BypassPolicyLockoutSafetyCheck") else "false",
        **tag_context(dict(read_tags(params))),
    }


def _describe(call: Call) -> Output:
    return {"KeyMetadata": key_metadata(call.key)}


def _list(call: Call) -> Output:
    account, region = call.caller.account, call.facts.region
    mine = [
        key
        for key in call.snapshot.all(KEYS).values()
        if key.account == account
        and key.region == region
        and (key.deletion_at is None or key.deletion_at > call.facts.at)
    ]
    shown, more = page(call.params, mine, lambda key: key.key_id, 100)
    return {"Keys": [{"KeyId": key.key_id, "KeyArn": key.arn} for key in shown], **more}


def _set_state(call: Call, state: KeyState, deletion_at: float | None = None, window: int | None = None) -> None:
    values = {"state": state.value, "deletion_at": deletion_at, "pending_window": window}
    call.transaction.connection.execute(update(schema.key).where(schema.key.c.arn == call.key.arn).values(values))
    call.transaction.changed(KEYS, call.key.arn)


def _enable(call: Call) -> Output:
    _set_state(call, KeyState.ENABLED)
    return {}


def _disable(call: Call) -> Output:
    _set_state(call, KeyState.DISABLED)
    return {}


def _window(call: Call) -> int:
    window = call.params.maybe_number("PendingWindowInDays")
    return 30 if window is None else window


def _window_context(call: Call) -> Context:
    return {"kms:schedulekeydeletionpendingwindowindays": str(_window(call))}


def _schedule_deletion(call: Call) -> Output:
    window = _window(call)
    if not 7 <= window <= 30:
        bound = "greater than or equal to 7" if window < 7 else "less than or equal to 30"
        raise ValidationException(
            f"1 validation error detected: Value '{window}' at 'pendingWindowInDays' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )
    deletion_at = call.facts.at + window * _DAY
    _set_state(call, KeyState.PENDING_DELETION, deletion_at, window)
    return {
        "KeyId": call.key.arn,
        "DeletionDate": deletion_at,
        "KeyState": KeyState.PENDING_DELETION.value,
        "PendingWindowInDays": window,
    }


def _cancel_deletion(call: Call) -> Output:
    if call.key.state is not KeyState.PENDING_DELETION:
        raise InvalidState(f"{call.key.arn} is not pending deletion.")
    _set_state(call, KeyState.DISABLED)
    return {"KeyId": call.key.arn}


def _update_description(call: Call) -> Output:
    values = {"description": call.params.text("Description")}
    call.transaction.connection.execute(update(schema.key).where(schema.key.c.arn == call.key.arn).values(values))
    call.transaction.changed(KEYS, call.key.arn)
    return {}


OPERATIONS = (
    Operation(
        "CreateKey",
        (Target("kms:CreateKey", everything, _creation_context),),
        _create,
        writes=True,
        audit_response=True,
    ),
    Operation("DescribeKey", (Target("kms:DescribeKey", by_member(aliases=True)),), _describe, cross_account=True),
    Operation("ListKeys", (Target("kms:ListKeys", everything),), _list),
    Operation(
        "EnableKey",
        (Target("kms:EnableKey", by_member()),),
        _enable,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
    Operation(
        "DisableKey",
        (Target("kms:DisableKey", by_member()),),
        _disable,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
    Operation(
        "ScheduleKeyDeletion",
        (Target("kms:ScheduleKeyDeletion", by_member(), _window_context),),
        _schedule_deletion,
        States.NOT_PENDING_DELETION,
        writes=True,
        audit_response=True,
    ),
    Operation(
        "CancelKeyDeletion",
        (Target("kms:CancelKeyDeletion", by_member()),),
        _cancel_deletion,
        writes=True,
        audit_response=True,
    ),
    Operation(
        "UpdateKeyDescription",
        (Target("kms:UpdateKeyDescription", by_member()),),
        _update_description,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
)
