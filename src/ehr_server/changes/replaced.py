"""A record that was merged into another is not brought back by an update: that is for `$unmerge`.

Its sender may know nothing of the merge, and would make two people of one again.
"""

from collections.abc import Sequence

from ehr_server.changes.change import Change
from ehr_server.errors import Conflict
from ehr_server.identity.merging import REPLACED_BY, has_link, is_active
from ehr_server.redact import id_without_number
from ehr_server.store.connect import Connection
from ehr_server.store.merged import targets


def refuse(connection: Connection, changes: Sequence[Change]) -> None:
    """Raises `Conflict` for an update that makes a merged record active, or drops what it says of
    the one that replaces it. Corrections of anything else are fine."""
    updated = [
        (one.place.comp, one)
        for one in changes
        if one.type == "Patient" and one.place is not None and one.resource is not None
        if one.matched is None
    ]
    merged_into = targets(connection, [comp for comp, _ in updated])
    for comp, change in updated:
        into = merged_into.get(comp)
        if into is None or change.resource is None:
            continue
        is_in_use = is_active(change.resource)
        if is_in_use or not has_link(change.resource, into, REPLACED_BY):
            told = id_without_number(into)
            raise Conflict(
                f"{change.told} was merged into Patient/{told}: it stays inactive and keeps "
                f"its link replaced-by. Update Patient/{told}, or take the merge back by "
                "Patient/$unmerge first.",
                vi=f"{change.told} đã được gộp vào Patient/{told}: phải giữ active=false và "
                f"link replaced-by. Xin cập nhật Patient/{told}, hoặc hoàn tác bằng "
                "Patient/$unmerge trước.",
                expression=(f"{change.where}.{'active' if is_in_use else 'link'}",),
            )
