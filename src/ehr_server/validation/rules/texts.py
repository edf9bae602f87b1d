"""The rules in words: what is wrong, and how to mend it, in English and Vietnamese.

Written for the rules that a record of care meets. Any other shows its FHIRPath expression.
"""

from __future__ import annotations


def text_of(key: str, expression: str) -> tuple[str, str]:
    """The rule in English and in Vietnamese."""
    known = _TEXTS.get(key)
    if known is not None:
        return known
    return (
        f"This rule does not hold here: {expression}",
        f"Không thỏa quy tắc: {expression}",
    )


_TEXTS = {
    "age-1": (
        "An age is more than 0, with a code of UCUM: a for years, mo, wk, d.",
        "Tuổi phải lớn hơn 0 và có code của UCUM: a là năm, mo, wk, d.",
    ),
    "ait-1": (
        "An allergy has a clinicalStatus, unless its verificationStatus is entered-in-error.",
        "Dị ứng phải có clinicalStatus, trừ khi verificationStatus là entered-in-error.",
    ),
    "ait-2": (
        "An allergy that is entered-in-error has no clinicalStatus.",
        "Dị ứng có verificationStatus entered-in-error thì không có clinicalStatus.",
    ),
    "app-2": (
        "An appointment has start and end, or neither.",
        "Lịch hẹn phải có cả start và end, hoặc không có cả hai.",
    ),
    "app-3": (
        "Only an appointment that is proposed, cancelled or waitlist has no start and end.",
        "Chỉ lịch hẹn proposed, cancelled hoặc waitlist mới được thiếu start và end.",
    ),
    "att-1": (
        "An attachment with data needs its contentType, such as application/pdf.",
        "Tệp đính kèm có data thì phải có contentType, ví dụ application/pdf.",
    ),
    "bdl-1": (
        "Only a Bundle of type searchset or history has a total.",
        "Chỉ Bundle loại searchset hoặc history mới có total.",
    ),
    "bdl-2": (
        "Only the entries of a searchset have search.",
        "Chỉ các mục của searchset mới có search.",
    ),
    "bdl-3": (
        "Each entry of a batch, transaction or history has a request, and no others do.",
        "Mọi mục của batch, transaction hoặc history phải có request, loại khác thì không có.",
    ),
    "bdl-4": (
        "Each entry of a batch-response, transaction-response or history has a response, and no "
        "others do.",
        "Mọi mục của batch-response, transaction-response hoặc history phải có response, loại "
        "khác thì không có.",
    ),
    "bdl-5": (
        "An entry has a resource, a request or a response.",
        "Mỗi mục phải có resource, request hoặc response.",
    ),
    "bdl-7": (
        "Two entries have the same fullUrl: each needs its own.",
        "Hai mục có cùng fullUrl: mỗi mục phải có fullUrl riêng.",
    ),
    "bdl-8": (
        "A fullUrl names no version: leave out /_history/.",
        "fullUrl không nêu phiên bản: hãy bỏ /_history/.",
    ),
    "bdl-9": (
        "A document has an identifier, with system and value.",
        "Bundle loại document phải có identifier gồm system và value.",
    ),
    "bdl-10": (
        "A document has a timestamp: when it was put together.",
        "Bundle loại document phải có timestamp: thời điểm lập tài liệu.",
    ),
    "bdl-11": (
        "The first entry of a document is its Composition.",
        "Mục đầu tiên của Bundle loại document phải là Composition.",
    ),
    "con-4": (
        "A condition with an abatement has the clinicalStatus inactive, remission or resolved.",
        "Tình trạng đã có abatement thì clinicalStatus phải là inactive, remission hoặc resolved.",
    ),
    "con-5": (
        "A condition that is entered-in-error has no clinicalStatus.",
        "Tình trạng có verificationStatus entered-in-error thì không có clinicalStatus.",
    ),
    "cpt-2": (
        "A contact point with a value needs its system: phone, email, ...",
        "Thông tin liên lạc có value thì phải có system: phone, email, ...",
    ),
    "dom-2": (
        "A contained resource cannot contain resources itself: put them side by side.",
        "Tài nguyên contained không được chứa tài nguyên contained khác: hãy đặt ngang hàng.",
    ),
    "dom-4": (
        "A contained resource has no meta.versionId and no meta.lastUpdated.",
        "Tài nguyên contained không có meta.versionId và meta.lastUpdated.",
    ),
    "dom-5": (
        "A contained resource has no meta.security.",
        "Tài nguyên contained không có meta.security.",
    ),
    "mdd-1": (
        "A medication cannot be handed over (whenHandedOver) before it is prepared (whenPrepared).",
        "Thuốc không thể được giao (whenHandedOver) trước khi chuẩn bị (whenPrepared).",
    ),
    "obs-3": (
        "A reference range has at least one of low, high and text.",
        "Khoảng tham chiếu phải có ít nhất một trong low, high, text.",
    ),
    "obs-6": (
        "An observation with a value has no dataAbsentReason: leave out one of them.",
        "Quan sát đã có giá trị thì không có dataAbsentReason: hãy bỏ một trong hai.",
    ),
    "obs-7": (
        "An observation with a value has no component with the observation's own code.",
        "Quan sát đã có giá trị thì không có component trùng mã với chính nó.",
    ),
    "org-1": (
        "An organization has an identifier or a name.",
        "Tổ chức phải có identifier hoặc name.",
    ),
    "org-2": (
        "An organization's address is never of use home.",
        "Địa chỉ của tổ chức không được có use là home.",
    ),
    "org-3": (
        "An organization's telecom is never of use home.",
        "Liên lạc của tổ chức không được có use là home.",
    ),
    "pat-1": (
        "A patient's contact has at least one of name, telecom, address and organization.",
        "Người liên hệ của bệnh nhân phải có ít nhất một trong name, telecom, address, "
        "organization.",
    ),
    "per-1": (
        "A period starts before it ends: start is after end here.",
        "Khoảng thời gian phải có start trước end, ở đây start sau end.",
    ),
    "vs-1": (
        "A vital sign is dated to the day at least.",
        "Dấu hiệu sinh tồn phải có thời điểm chính xác đến ngày.",
    ),
    "vs-2": (
        "A vital sign has a value, components or members, or a dataAbsentReason.",
        "Dấu hiệu sinh tồn phải có giá trị, component hoặc hasMember, nếu không phải có "
        "dataAbsentReason.",
    ),
    "vs-3": (
        "A component of a vital sign has a value or a dataAbsentReason.",
        "Mỗi component của dấu hiệu sinh tồn phải có giá trị hoặc dataAbsentReason.",
    ),
    "qrs-1": (
        "An item of a questionnaire response has an answer or items, not both.",
        "Mục trả lời chỉ có answer hoặc item, không có cả hai.",
    ),
    "qty-3": (
        "A quantity with a code needs the system of the code: http://unitsofmeasure.org for UCUM.",
        "Đại lượng có code thì phải có system: http://unitsofmeasure.org với UCUM.",
    ),
    "rng-2": (
        "A range's low is at most its high.",
        "Khoảng giá trị phải có low nhỏ hơn hoặc bằng high.",
    ),
    "sqty-1": (
        "This quantity is exact: it has no comparator.",
        "Đại lượng ở đây phải chính xác: không có comparator.",
    ),
}
