"""The rules: one a file, all of them listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import (
    annotation_text,
    checked_attribute,
    disguised_name,
    dynamic_attribute,
    foreign_write,
    format_string,
    held_open,
    hidden_characters,
    large_constant,
    library_as_value,
    mediated_name,
    refused_builtin,
    registry_change,
    sensitive_attribute,
    sink_name,
    special_attribute,
    special_method,
    special_name,
    star_import,
    type_call,
    ungranted_import,
    ungranted_name,
    unknown_syntax,
    unowned_write,
    unreadable,
)

if TYPE_CHECKING:
    from ..context import Rule

#: A new rule is one file and one line here.
RULES: Final[tuple[Rule, ...]] = (
    unreadable.RULE,
    hidden_characters.RULE,
    disguised_name.RULE,
    unknown_syntax.RULE,
    special_name.RULE,
    special_attribute.RULE,
    special_method.RULE,
    checked_attribute.RULE,
    sensitive_attribute.RULE,
    dynamic_attribute.RULE,
    format_string.RULE,
    held_open.RULE,
    annotation_text.RULE,
    type_call.RULE,
    refused_builtin.RULE,
    foreign_write.RULE,
    registry_change.RULE,
    library_as_value.RULE,
    star_import.RULE,
    sink_name.RULE,
    large_constant.RULE,
    mediated_name.RULE,
    unowned_write.RULE,
    ungranted_import.RULE,
    ungranted_name.RULE,
)
