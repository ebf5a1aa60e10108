"""STS: who am I?"""

from kms_core.operations.call import Call, Operation, Output


def _identity(call: Call) -> Output:
    """GetCallerIdentity needs no permission, and no policy can deny it (STS API Reference)."""
    caller = call.caller
    return {"UserId": caller.principal_id, "Account": caller.account, "Arn": caller.arn}


OPERATIONS: dict[str, Operation] = {"GetCallerIdentity": Operation("GetCallerIdentity", (), _identity)}
