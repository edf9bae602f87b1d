"""What is said where a resource does not keep to a profile: what is wrong, and how to mend it.

In English and in Vietnamese, like `validation.messages`, and as there without a value of the
resource. Each finding names its rule and the profile, so that findings can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ehr_server.definitions.model import Constraint
from ehr_server.definitions.profile import Binding, Node
from ehr_server.issue import Issue, Severity
from ehr_server.validation.profiles.run import Place, Run, shown
from ehr_server.validation.rules.texts import text_of

_TEXT_MAX = 120


def too_few(run: Run, place: Place, node: Node, count: int) -> Issue:
    """The element, or the slice, comes `count` times and not as often as it must."""
    if count == 0 and node.min == 1:
        text, vi = "is missing", "Thiếu"
    else:
        text = f"comes {count} times, at least {node.min} are asked for"
        vi = f"Có {count}, cần ít nhất {node.min}"
    element = _element(node)
    if ":" not in _last(node.id):
        return _issue(
            run,
            ("required", "min", place),
            f"{element} {text}: {_name(run)} asks for it{_asked(node)}.",
            f"{vi} {element}: {_name(run)} bắt buộc phải có{_asked(node)}.",
        )
    return _issue(
        run,
        ("required", "slice", place),
        f"{element} of the kind {_slice(node)} {text}: {_name(run)} asks for it{_asked(node)}.",
        f"{vi} {element} loại {_slice(node)}: {_name(run)} bắt buộc phải có{_asked(node)}.",
    )


def too_many(run: Run, place: Place, node: Node, count: int) -> Issue:
    """The element, or the slice, comes more often than it may."""
    element, is_slice = _element(node), ":" in _last(node.id)
    of, of_vi = (f" of the kind {_slice(node)}", f" loại {_slice(node)}") if is_slice else ("", "")
    if node.max == 0:
        text = f"{element}{of} is not allowed by {_name(run)}: leave it out."
        vi = f"{_name(run)} không cho phép {element}{of_vi}: hãy bỏ đi."
    else:
        text = f"{element}{of} comes {count} times, {_name(run)} allows {node.max}."
        vi = f"{element}{of_vi} có {count}, {_name(run)} chỉ cho phép {node.max}."
    return _issue(run, ("structure", "slice" if is_slice else "max", place), text, vi)


def wrong_type(run: Run, place: Place, node: Node, type_name: str) -> Issue:
    allowed = ", ".join(dict.fromkeys(choice.code for choice in node.types))
    return _issue(
        run,
        ("structure", "type", place),
        f"{type_name} is not a type that {_name(run)} allows here; allowed: {allowed}.",
        f"{_name(run)} không cho phép kiểu {type_name} ở đây; được phép: {allowed}.",
    )


def not_fixed(run: Run, place: Place, fixed: Any) -> Issue:
    return _issue(
        run,
        ("value", "fixed", place),
        f"{_name(run)} asks for exactly {_text(fixed)} here.",
        f"{_name(run)} yêu cầu giá trị ở đây đúng bằng {_text(fixed)}.",
    )


def not_pattern(run: Run, place: Place, pattern: Any) -> Issue:
    return _issue(
        run,
        ("value", "pattern", place),
        f"{_name(run)} asks for {_text(pattern)} here; more may stand beside it.",
        f"{_name(run)} yêu cầu ở đây phải có {_text(pattern)}.",
    )


def out_of_bounds(run: Run, place: Place, node: Node) -> Issue:
    least = f" at least {_text(node.least)}" if node.least is not None else ""
    most = f" at most {_text(node.most)}" if node.most is not None else ""
    least_vi = f" từ {_text(node.least)}" if node.least is not None else ""
    most_vi = f" đến {_text(node.most)}" if node.most is not None else ""
    return _issue(
        run,
        ("value", "value", place),
        f"{_name(run)} asks for a value of{least}{' and' if least and most else ''}{most} here.",
        f"{_name(run)} yêu cầu giá trị{least_vi}{most_vi}.",
    )


def too_long(run: Run, place: Place, most: int) -> Issue:
    return _issue(
        run,
        ("value", "length", place),
        f"{_name(run)} allows at most {most} characters here.",
        f"{_name(run)} chỉ cho phép tối đa {most} ký tự ở đây.",
    )


def no_code_of(run: Run, place: Place, binding: Binding) -> Issue:
    """No code of the value set: an error if it is required, a warning if it is extensible."""
    if binding.strength == "required":
        return _issue(
            run,
            ("code-invalid", "binding", place),
            f"{_name(run)} asks for a code of the value set {binding.value_set} here.",
            f"{_name(run)} yêu cầu mã thuộc tập giá trị {binding.value_set}.",
        )
    return _issue(
        run,
        ("code-invalid", "binding", place),
        f"No code here is of the value set {binding.value_set}; use one of its codes, unless none "
        f"fits ({_name(run)}).",
        f"Không có mã nào thuộc tập giá trị {binding.value_set}; hãy dùng mã trong đó, trừ khi "
        f"không mã nào phù hợp ({_name(run)}).",
        severity="warning",
    )


def wrong_target(run: Run, place: Place, allowed: Iterable[str]) -> Issue:
    listed = ", ".join(sorted(set(allowed)))
    return _issue(
        run,
        ("value", "target", place),
        f"{_name(run)} asks for a reference to {listed} here.",
        f"{_name(run)} yêu cầu tham chiếu tới {listed} ở đây.",
    )


def target_does_not_conform(run: Run, place: Place, profiles: Sequence[str]) -> Issue:
    listed = ", ".join(_tail(profile) for profile in profiles)
    return _issue(
        run,
        ("value", "target", place),
        f"What is referred to here does not keep to {listed}, as {_name(run)} asks; check it "
        "against that profile.",
        f"Tài nguyên được tham chiếu không tuân theo {listed} như {_name(run)} yêu cầu; hãy kiểm "
        "tra nó theo hồ sơ đó.",
    )


def conforms_to_none(run: Run, place: Place, profiles: Sequence[str]) -> Issue:
    listed = ", ".join(_tail(profile) for profile in profiles)
    return _issue(
        run,
        ("structure", "profile", place),
        f"The value keeps to none of the profiles that {_name(run)} allows here: {listed}.",
        f"Giá trị không tuân theo hồ sơ nào mà {_name(run)} cho phép ở đây: {listed}.",
    )


def in_no_slice(run: Run, place: Place, node: Node) -> Issue:
    listed = ", ".join(node.slices)
    return _issue(
        run,
        ("structure", "slice", place),
        f"{_name(run)} allows only these kinds here: {listed}.",
        f"{_name(run)} chỉ cho phép các loại sau ở đây: {listed}.",
    )


def out_of_order(run: Run, place: Place, node: Node) -> Issue:
    listed = ", ".join(node.slices)
    return _issue(
        run,
        ("structure", "slice", place),
        f"{_name(run)} asks for this order: {listed}, then all others.",
        f"{_name(run)} yêu cầu thứ tự: {listed}, sau đó là các phần còn lại.",
    )


def broken(run: Run, place: Place, constraint: Constraint) -> Issue:
    known, known_vi = text_of(constraint.key, constraint.expression)
    text = constraint.text or known
    vi = constraint.vi or constraint.text or known_vi
    return _issue(
        run,
        ("invariant", constraint.key, place),
        f"{text} ({constraint.key})",
        f"{vi} ({constraint.key})",
        severity=constraint.severity,
    )


def _issue(
    run: Run,
    what: tuple[str, str, Place],
    text: str,
    vi: str,
    *,
    severity: Severity = "error",
) -> Issue:
    code, rule, place = what
    return Issue(severity, code, text, (shown(place),), vi, rule, run.profile)


def _name(run: Run) -> str:
    return _tail(run.profile)


def _tail(url: str) -> str:
    return url.rpartition("/")[2]


def _last(id_: str) -> str:
    return id_.rpartition(".")[2]


def _element(node: Node) -> str:
    return _last(node.path).removesuffix("[x]")


def _slice(node: Node) -> str:
    return _last(node.id).partition(":")[2]


def _asked(node: Node) -> str:
    """What the element must be, where the profile says so by value: the mend at a glance."""
    value = node.fixed if node.fixed is not None else node.pattern
    return f" ({_text(value)})" if value is not None else ""


def _text(value: Any) -> str:
    """A value of the profile, briefly: a coding as system|code."""
    if isinstance(value, dict):
        if "coding" in value:
            return ", ".join(_text(coding) for coding in value["coding"])
        if "value" in value:
            return f"{value['value']} {value.get('unit', value.get('code', ''))}".strip()
        if "code" in value and "system" in value:
            return f"{value['system']}|{value['code']}"
        inner = ", ".join(f"{name} = {_text(one)}" for name, one in value.items())
        return inner[:_TEXT_MAX]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:_TEXT_MAX]
