"""The protocols of the field, by name: one TOML file each in benchmark/protocols/.

A file says which images are meant, how they are prepared, with which options they are scored, from
where the rules are known, and which rows were published under them. The images themselves are not
part of the project.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from benchmark.console import info, shorten
from benchmark.data.cache import ImageSet
from benchmark.data.preprocessing import Crop, Filter, Preprocessing
from benchmark.data.sources import Sources
from benchmark.errors import UserError, did_you_mean, first_line
from benchmark.files import ROOT
from benchmark.metrics.options import MetricOptions
from benchmark.results.records import ProtocolRecord, TestRule
from benchmark.results.schema import Strict, validation_fault

FOLDER = ROOT / "benchmark" / "protocols"
NUMBER = "{number}"


class ImageRule(Strict):
    """Which files of a folder are the images, by their names without suffix and folders.

    numbered: the name of each, with {number} in place of a number of `digits` digits from 1 to
    `count`. pattern: a regular expression of each name, where names are not numbered. count: how
    many there are; None for any number.
    """

    numbered: str = ""
    digits: int = Field(8, ge=1, le=20)
    pattern: str = ""
    count: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _is_complete(self) -> "ImageRule":
        if self.numbered and (NUMBER not in self.numbered or self.count is None):
            raise ValueError(f"numbered needs {NUMBER} and a count")
        re.compile(self.pattern)
        return self

    @property
    def names(self) -> list[str] | None:
        """The names that are expected, in order; None where they are not numbered."""
        if not self.numbered or self.count is None:
            return None
        numbers = (str(number).zfill(self.digits) for number in range(1, self.count + 1))
        return [self.numbered.replace(NUMBER, number) for number in numbers]

    def matches(self, name: str) -> bool:
        """Whether a file of this name may be one of the images."""
        numbered = re.escape(self.numbered).replace(re.escape(NUMBER), rf"\d{{{self.digits}}}")
        return re.fullmatch(numbered or self.pattern or ".*", name, re.DOTALL) is not None


class Preparation(Strict):
    """The fields of `Preprocessing`."""

    size: int = Field(ge=16, le=4096)
    filter: Filter
    crop: Crop
    antialias: bool = True


class PublishedRow(Strict):
    """A row of a published table. Numbers are as printed; `source` is where they were read."""

    system: str
    fid: float | None = None
    colorfulness: float | None = None
    delta_colorfulness: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    source: str


class NamedProtocol(Strict):
    """A protocol of the field, as its file describes it.

    used_by: who reports under it. sources: from where its rules are known. metrics: the fields of
    `MetricOptions` that differ from the defaults.
    """

    name: str
    title: str
    used_by: list[str] = []
    sources: list[str] = []
    images: ImageRule = ImageRule()
    preparation: Preparation
    metrics: dict[str, Any] = {}
    published: list[PublishedRow] = []

    @property
    def preprocessing(self) -> Preprocessing:
        """How each image becomes a square."""
        return Preprocessing(**self.preparation.model_dump())

    @property
    def options(self) -> MetricOptions:
        """The options of the metrics."""
        return MetricOptions(**self.metrics)

    @model_validator(mode="after")
    def _can_be_used(self) -> "NamedProtocol":
        _ = self.preprocessing
        if unknown := self.metrics.keys() - {one.name for one in fields(MetricOptions)}:
            raise ValueError(f"metrics have no option {min(unknown)}")
        TypeAdapter(MetricOptions).validate_python(self.metrics)
        return self


def names() -> list[str]:
    """The names of all protocols, by folder."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> NamedProtocol:
    """Read a protocol. Raises UserError if there is none of this name, or if its file is wrong."""
    if name not in names():
        end = did_you_mean(name, names()) or "."
        raise UserError(f"--protocol {name}: there is no such protocol{end}")
    path = FOLDER / f"{name}.toml"
    try:
        with path.open("rb") as stream:
            return NamedProtocol.model_validate({"name": name, **tomllib.load(stream)})
    except ValidationError as error:
        raise UserError(f"{path} cannot be used: {validation_fault(error)}.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}.") from error


def published_under(record: ProtocolRecord) -> list[PublishedRow]:
    """The rows that were published under a test's protocol; none for a part of its images."""
    rule = record.rule
    if rule is None or rule.protocol is None or rule.limit is not None or record.degradation:
        return []
    try:
        return load(rule.protocol).published
    except UserError:  # a protocol of another version
        return []


# ---- the images of a test ------------------------------------------------------------------------


@dataclass(frozen=True)
class TestImages:
    """Which images of a folder a test is on and how they are prepared.

    preprocessing: what the protocol says, or one's own size. protocol: the named one, or None.
    limit: the number of images that are used, the first ones by name; None for all.
    """

    __test__ = False  # pytest takes every class called Test… for tests

    preprocessing: Preprocessing
    protocol: NamedProtocol | None = None
    limit: int | None = None

    @classmethod
    def of(
        cls,
        size: int,
        protocol: str | None = None,
        limit: int | None = None,
        degraded: bool = False,
    ) -> Self:
        """The images of a named protocol, or all at one's own size. UserError for a wrong name.

        degraded: whether they are made to look old.
        """
        found = None if protocol is None else load(protocol)
        preprocessing = Preprocessing(size) if found is None else found.preprocessing
        if degraded:
            preprocessing = replace(preprocessing, degrade="old")
        return cls(preprocessing, found, limit)

    @classmethod
    def recorded(cls, record: ProtocolRecord) -> Self:
        """The images of a test's protocol. Raises UserError for what this version does not know."""
        rule = record.rule or TestRule()
        try:
            preprocessing = Preprocessing.described(
                record.size, record.filter, record.crop, record.degradation or "none"
            )
        except ValueError as error:
            raise UserError(f"The protocol {record.name} is of no use here: {error}.") from error
        return cls(preprocessing, load(rule.protocol) if rule.protocol else None, rule.limit)

    def options(self, own: MetricOptions) -> MetricOptions:
        """The options of the metrics: the protocol's, or without one those that were asked for."""
        return own if self.protocol is None else self.protocol.options

    def rule(self) -> TestRule | None:
        """What a record says of the choice of the images; None for all images of a folder."""
        if self.protocol is None and self.limit is None:
            return None
        return TestRule(protocol=self.protocol.name if self.protocol else None, limit=self.limit)

    def name(self, source: str) -> str:
        """The name of the test's protocol, for people; `source` names the folder."""
        own = f"{source}-{self.preprocessing.size}"
        name = own if self.protocol is None else self.protocol.name
        name += "-degraded" if self.preprocessing.degrade != "none" else ""
        return name if self.limit is None else f"{name}-first{self.limit}"

    def chosen_from(self, sources: Sources) -> Sources:
        """The sources, of whose test images only the protocol's are read.

        Raises UserError where test images are held out, among which none can be chosen.
        """
        if self.rule() is None:
            return sources
        if sources.test_images is None:
            option = "--protocol" if self.protocol else "--limit"
            raise UserError(f"{option} needs a folder of test images: name it with --test_images.")
        return replace(sources, selection=self._select)

    def require_complete(self, images: ImageSet) -> None:
        """Raise UserError if an image of a named protocol cannot be used."""
        if self.protocol is not None and images.failures:
            named = [f"{name} ({why})" for name, why in images.failures.items()]
            raise UserError(
                f"{len(named)} images of {self.protocol.name} cannot be used: {shorten(named)}. "
                "Get these files again."
            )

    def _select(self, files: Sequence[str]) -> list[str]:
        """Choose from the names of a folder's image files. UserError for a wrong or missing one."""
        if self.protocol is None:
            return list(files)[: self.limit]
        rule, protocol = self.protocol.images, self.protocol.name
        by_name: dict[str, list[str]] = defaultdict(list)
        for file in files:
            by_name[PurePosixPath(file).stem].append(file)
        self._require_single(by_name)
        expected = rule.names
        if expected is None:
            return self._of_pattern(rule, by_name)
        wanted = expected[: self.limit]
        if missing := [name for name in wanted if name not in by_name]:
            raise UserError(
                f"{len(missing)} of {len(wanted)} images of {protocol} are missing: "
                f"{shorten(missing)}."
            )
        if others := sorted(by_name.keys() - set(expected)):
            info(f"{len(others)} files are not of {protocol} and not used: {shorten(others)}.")
        return [by_name[name][0] for name in wanted]

    def _of_pattern(self, rule: ImageRule, by_name: dict[str, list[str]]) -> list[str]:
        protocol = self.protocol.name if self.protocol else ""
        if wrong := sorted(name for name in by_name if not rule.matches(name)):
            raise UserError(
                f"{len(wrong)} files are not of {protocol}: {shorten(wrong)}. Remove them, or name "
                "the folder of its images."
            )
        enough = self.limit is not None and rule.count is not None and len(by_name) >= self.limit
        if rule.count not in (None, len(by_name)) and not enough:
            raise UserError(
                f"{protocol} has {rule.count} images, and the folder has {len(by_name)}: name the "
                "folder of all its images, or test on the first ones with --limit."
            )
        return [by_name[name][0] for name in sorted(by_name)][: self.limit]

    def _require_single(self, by_name: dict[str, list[str]]) -> None:
        twice = [found for found in by_name.values() if len(found) > 1]
        if twice and self.protocol is not None:
            raise UserError(
                f"{len(twice)} images of {self.protocol.name} are there twice, such as "
                f"{' and '.join(twice[0][:2])}: remove one of each."
            )
