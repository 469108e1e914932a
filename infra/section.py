"""What every group of settings is made of: a frozen model whose unknown keys are mistakes, and words for what is allowed."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

# RFC 1123, in lower case; a leading "*." is refused, because a name constraint cannot express it.
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True)
class Allowed:
    """What a setting may be, in a person's words."""

    words: str


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        if HOST_NAME.fullmatch(value.lower()) is None:
            raise ValueError("neither a host name nor an IP address") from None
        return value.lower()


Host = Annotated[str, AfterValidator(_host)]


class Section(BaseModel):
    """Settings that belong together: frozen, and a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, str_strip_whitespace=True)


class Defaults(Section):
    """Groups of settings of one kind with defaults of their own: who gives a part of a group keeps the rest of its default."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: _over(cls, key, value) for key, value in values.items()}


def _over(model: type[BaseModel], key: str, value: Any) -> Any:
    default = next((field.default for field in model.model_fields.values() if field.alias == key), None)
    if isinstance(default, BaseModel) and isinstance(value, dict):
        return {**default.model_dump(by_alias=True), **value}
    return value
