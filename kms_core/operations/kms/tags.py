"""Tags on keys (KMS developer guide, "Tags in AWS KMS"): at most 50, unique keys, none that begins with `aws:`."""

from collections.abc import Sequence

from sqlalchemy import delete, insert

from kms_core.errors import TagError
from kms_core.keystore import schema
from kms_core.keystore.topics import KEYS
from kms_core.operations.call import Call, Context, Operation, Output, States, Target
from kms_core.operations.kms.find import by_member
from kms_core.operations.kms.paging import page
from kms_core.operations.params import Params

_MAX_TAGS = 50
Tags = tuple[tuple[str, str], ...]


def read_tags(params: Params) -> Tags:
    """The request's tags, in order."""
    return tuple((tag.text("TagKey"), tag.text("TagValue")) for tag in params.structures("Tags"))


def check_tags(tags: Tags) -> Tags:
    """The same tags. TagError if they may not be.

    Policies compare tag keys without regard to case, so two that differ in nothing else count as one.
    """
    names = [name for name, _ in tags]
    if len({name.lower() for name in names}) != len(names):
        raise TagError("Duplicate tag keys")
    if len(names) > _MAX_TAGS:
        raise TagError("Too many tags")
    if any(name.lower().startswith("aws:") for name in names):
        raise TagError("Tags beginning with aws: are reserved")
    return tags


def tag_context(tags: dict[str, str], names: Sequence[str] = ()) -> Context:
    """`aws:RequestTag/...` and `aws:TagKeys` for a decision."""
    context: Context = {f"aws:requesttag/{name.lower()}": value for name, value in tags.items()}
    if tags or names:
        context["aws:tagkeys"] = (*tags, *names)
    return context


def _keep(call: Call, tags: dict[str, str]) -> None:
    connection, key_arn = call.transaction.connection, call.key.arn
    connection.execute(delete(schema.tag).where(schema.tag.c.key_arn == key_arn))
    for position, (name, value) in enumerate(tags.items()):
        connection.execute(insert(schema.tag).values(key_arn=key_arn, name=name, value=value, position=position))
    call.transaction.changed(KEYS, key_arn)


def _tag(call: Call) -> Output:
    tags = dict(call.key.tags) | dict(check_tags(read_tags(call.params)))
    _keep(call, dict(check_tags(tuple(tags.items()))))
    return {}


def _untag(call: Call) -> Output:
    gone = set(call.params.texts("TagKeys"))
    _keep(call, {name: value for name, value in call.key.tags if name not in gone})
    return {}


def _list(call: Call) -> Output:
    tags, more = page(call.params, call.key.tags, lambda tag: tag[0], 50)
    return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in tags], **more}


OPERATIONS = (
    Operation(
        "TagResource",
        (Target("kms:TagResource", by_member(), lambda call: tag_context(dict(read_tags(call.params)))),),
        _tag,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
    Operation(
        "UntagResource",
        (Target("kms:UntagResource", by_member(), lambda call: tag_context({}, call.params.texts("TagKeys"))),),
        _untag,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
    Operation("ListResourceTags", (Target("kms:ListResourceTags", by_member()),), _list),
)
