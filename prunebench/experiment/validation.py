"""Check values against pydantic's models; messages say where, what, and what would be right."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from prunebench.errors import PrunebenchError, shown, suggest


class Settings(BaseModel):
    """A model that refuses unknown keys and never changes once it is checked."""

    # the text below a field reaches the JSON schema, and from it the configuration reference
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic, like Python, would read true as 1
        items = value if isinstance(value, list) else [value]
        numbers = takes_numbers(cls.model_fields[str(info.field_name)].annotation)
        if numbers and any(isinstance(item, bool) for item in items):
            raise ValueError("input should be a valid number, not a boolean")
        return value


def validated(model: type[BaseModel], value: Any, where: str) -> Any:
    """Return a value as a checked model.

    Args:
        model: the class that it must fit.
        value: a mapping.
        where: what the message begins with.

    Raises:
        PrunebenchError: it does not fit; one line has all faults.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise PrunebenchError(f"{where}: {_explain(model, value, error)}") from None


def takes_numbers(annotation: Any) -> bool:
    """Return whether a field of this type holds a number, or a list of numbers."""
    if get_origin(annotation) is Literal:
        return False
    return annotation in (int, float) or any(map(takes_numbers, get_args(annotation)))


def _explain(model: type[BaseModel], value: Any, error: ValidationError) -> str:
    faults: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        place, known = _place(model, value, item["loc"])
        if item["type"] == "extra_forbidden":
            message = f"unknown key{suggest(str(item['loc'][-1]), known)}"
        else:
            text = item["msg"].removeprefix("Value error, ")
            found = item["input"]
            message = text[:1].lower() + text[1:]
            if item["type"] == "list_type":
                message = "must be a list" + ("" if found is None else f", e.g. [{shown(found)}]")
            if item["type"] != "value_error" and not isinstance(found, dict | list):
                message += f" (found {shown(found)})"
        faults.setdefault(place, []).append(message)
    # one place has several faults where it could have been several things
    every = ((place, " or ".join(told)) for place, told in faults.items())
    return "; ".join(": ".join(filter(None, parts)) for parts in every)


def _place(model: type[BaseModel], value: Any, loc: tuple[Any, ...]) -> tuple[str, list[str]]:
    """The place of a fault as the configuration names it, and the keys that are known there."""
    place, between = "", ""
    for part in loc:
        value = _inside(value, part)
        if isinstance(part, int):
            name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
            place += f"[{part}]" if name is None else f": {name}"
            between = "." if name is None else ": "
            continue
        place, between = f"{place}{between}{part}", "."
        field = model.model_fields.get(str(part))
        if field is None:  # an unknown key, or one of a free mapping
            break
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if _is_model(t)]
        if inner:
            model = inner[0]
        elif get_origin(field.annotation) not in (list, dict):
            break  # what follows names a type, not a place
    return place, list(model.model_fields)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(value: Any, part: Any) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int):
        return value[part]
    return getattr(value, str(part), None)
