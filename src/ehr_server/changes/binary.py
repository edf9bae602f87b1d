"""What the write path does about Binaries: large content leaves the resource and lies beside it.

https://hl7.org/fhir/R4/binary.html, docs/decisions/0013-binary.md. It is one thing whichever way
it came: raw, as base64 in a resource, or in a Bundle.
"""

from base64 import b64decode
from collections.abc import Sequence

from ehr_server.changes.change import Change, Means
from ehr_server.changes.uploads import blob_of
from ehr_server.errors import Unprocessable
from ehr_server.fhir.kept import Kept, kept_in, kept_of, tells_of_kept, with_kept, without_kept
from ehr_server.store import blobs
from ehr_server.store.connect import Connection
from ehr_server.store.write import Batch

TYPE = "Binary"


def set_aside(means: Means, changes: Sequence[Change]) -> None:
    """Take large `data` out of the Binaries among the changes, which are valid."""
    for change in changes:
        if change.type != TYPE or change.resource is None:
            continue
        data = change.resource.get("data")
        if data is not None:  # then what is said of other content is out of date
            change.resource = without_kept(change.resource)
            if len(data) // 4 * 3 - data[-2:].count("=") > means.inline_bytes_max:
                change.blob = blob_of(means.store, b64decode(data))
        if change.blob is not None:
            change.resource = with_kept(change.resource, change.blob.kept)


def settle(changes: Sequence[Change]) -> None:
    """Of content that is there already nothing is stored again.

    Who sends a Binary back as it stood in a search, a history or a Bundle, sends what is said of
    its content: it keeps it. Raises `Unprocessable` for a word about any other content.
    """
    for change in changes:
        if change.type != TYPE or change.resource is None or change.matched is not None:
            continue
        stored = _stored(change)
        if change.blob is not None:
            if stored is not None and stored.is_same_as(change.blob.kept):
                change.resource = with_kept(change.resource, stored)
                change.blob = None
        elif tells_of_kept(change.resource) and (
            stored is None or kept_of(change.resource) != stored
        ):
            raise Unprocessable(
                "The content is neither here nor that of the current version; send it as data, "
                "or raw in its own type.",
                vi="Không có nội dung ở đây, cũng không phải của phiên bản hiện tại; xin gửi trong "
                "data, hoặc gửi nguyên bản theo loại của nó.",
                expression=(f"{change.where}.data",),
            )


def take_along(means: Means, connection: Connection, batch: Batch) -> None:
    """The content of Binaries goes where their versions go; before the batch is written."""
    for type_name, key, old, new in batch.moved:
        if type_name == TYPE:
            blobs.move(connection, blobs.keys_of(means.store, connection, old, key), old, new)


def _stored(change: Change) -> Kept | None:
    is_live = change.place is not None and change.place.live
    return kept_in(change.now.content) if change.now is not None and is_live else None
