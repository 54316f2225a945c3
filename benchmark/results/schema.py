"""The base of all records of runs and of tests, and their reading and writing as JSON."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.errors import UserError
from benchmark.files import read_json, write_json

Count = Annotated[int, Field(ge=0, lt=2**63)]
MOST = 2.0**64
"""The largest number that a record may have: all can be added, formatted and drawn."""
Amount = Annotated[float, Field(ge=0, le=MOST)]


class Strict(BaseModel):
    """The base of all records: no unknown keys, no numbers as strings, no NaN.

    remedy: what helps a user whose file is not such a record.
    """

    remedy: ClassVar[str] = "Delete the folder, or start from the beginning with --overwrite."

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


Schema = TypeVar("Schema", bound=Strict)


def write_record(path: Path, record: Strict) -> None:
    """Write a record as JSON, whole or not at all. A test's run.json is the last of its files."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path, schema: type[Schema]) -> Schema:
    """Read a JSON file through its schema. Raises UserError that names the file and the fault."""
    try:
        values = read_json(path)
    except UserError as error:
        raise UserError(
            f"{error} {schema.remedy}" if os.path.lexists(path) else str(error)
        ) from error
    return validate(values, schema, f"{path} is not a {path.name} of this version")


def validate(values: Any, schema: type[Schema], problem: str) -> Schema:
    """Return values as a record. Raises UserError: the problem, the fault and the remedy."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{problem}: {validation_fault(error)}. {schema.remedy}") from error


def validation_fault(error: ValidationError) -> str:
    """Return the place and the message of a validation's first error, printable and short."""
    fault = error.errors(include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"][:6])
    reason = fault["msg"].removeprefix("Value error, ")
    text = f"{place}: {reason}" if place else reason
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
