"""The human studies of a results folder, as they are read for its tables."""

from collections.abc import Collection
from pathlib import Path

from benchmark.errors import UserError
from benchmark.results.folders import study_file, study_files
from benchmark.results.schema import read_record
from benchmark.results.study import StudyRecord


def read_studies(
    results: Path, protocols: Collection[str]
) -> tuple[dict[str, list[StudyRecord]], dict[str, str]]:
    """Read all studies: those of each protocol by its hash, and why others are left out, by file.

    protocols: the hashes of those that have a table.
    """
    found: dict[str, list[StudyRecord]] = {}
    refused = {}
    for path in study_files(results):
        try:
            record = read_record(path, StudyRecord)
        except UserError as error:
            refused[path.name] = str(error).removeprefix(f"{path} ")
            continue
        if path != study_file(results, record.study):
            refused[path.name] = "it has the result of a study of another name"
        elif record.protocol_hash not in protocols:
            refused[path.name] = f"there is no test of its protocol, {record.protocol}"
        else:
            found.setdefault(record.protocol_hash, []).append(record)
    return found, refused
