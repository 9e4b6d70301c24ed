"""What an editor makes of a file: YAML as its version types it, checked by our JSON Schema.

`compare` holds what it finds against the problems of the same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import yaml
from jsonschema import Draft7Validator

from parts.unknowable import UNKNOWABLE
from signals_core.config.schema import schema_of

_STR = "tag:yaml.org,2002:str"


class Yaml11(yaml.CSafeLoader):
    """YAML 1.1 as PyYAML types it, with the keys as text and the dates as written, as editors."""

    def construct_mapping(self, node, deep=False):
        self.flatten_mapping(node)
        for key, _ in node.value:
            key.tag = _STR
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node):
        node.value = node.value[:4000]  # the longest that Python converts, and long enough
        return super().construct_yaml_int(node)


Yaml11.add_constructor("tag:yaml.org,2002:int", Yaml11.construct_yaml_int)
for _tag in ("timestamp", "value"):
    Yaml11.add_constructor(f"tag:yaml.org,2002:{_tag}", Yaml11.construct_scalar)


class Yaml12(Yaml11):
    """YAML 1.2, whose core schema is what editors type by unless they are told otherwise."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _name, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "merge": r"<<",
}.items():
    Yaml12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), None
    )


def _integer(loader, node):
    text = loader.construct_scalar(node)
    if text.startswith(("0x", "0o")):
        return int(text, 0)
    return int(text[:4000])  # the longest that Python converts, and long enough


def _float(loader, node):
    return float(re.sub(r"^([-+]?)\.(?=[in])", r"\1", loader.construct_scalar(node).lower()))


Yaml12.add_constructor("tag:yaml.org,2002:int", _integer)
Yaml12.add_constructor("tag:yaml.org,2002:float", _float)

VERSIONS = (Yaml11, Yaml12)


@cache
def validator_of(registry):
    return Draft7Validator(schema_of(registry))


def mistakes_in(document: Any, validator: Draft7Validator) -> set[str]:
    """Return the key paths at which a schema refuses a document."""
    return {path for error in validator.iter_errors(document) for path in _paths(error)}


def _paths(error) -> Iterator[str]:
    here = "".join(
        f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.absolute_path
    )
    if error.validator == "required":
        yield from (
            f"{here}.{key}"[1:] for key in error.validator_value if key not in error.instance
        )
    elif error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        yield from (f"{here}.{key}"[1:] for key in error.instance if key not in known)
    else:
        yield here[1:]
    for each in error.context or ():
        yield from _paths(each)


def documents_of(path: Path, version: type[yaml.CSafeLoader]) -> Iterator[tuple[int, Any]]:
    """Yield the first line and the content of each document of a file that is not empty."""
    loader = version(path.read_bytes())
    try:
        while loader.check_node():
            node = loader.get_node()
            content = loader.construct_document(node)
            if content is not None:
                yield node.start_mark.line + 1, content
    finally:
        loader.dispose()


def compare(files, loaded, registry) -> None:
    """Fail unless schema and problems say the same, apart from what is listed as unknowable."""
    validator = validator_of(registry)
    for file in files:
        for version in VERSIONS:
            with suppress(yaml.YAMLError, OSError):  # the editor's parser tells of those
                _compare_documents(file, loaded, validator, list(documents_of(file, version)))


def _compare_documents(file, loaded, validator, documents) -> None:
    told = [each for each in loaded.problems if each.file == str(file) and not each.warning]
    starts = [start for start, _ in documents[1:]]
    for (start, content), end in zip(documents, [*starts, 10**9][: len(documents)], strict=True):
        if f"{file}:{start}" in loaded.passed_over:
            continue
        here = [each for each in told if start <= each.line < end]
        found = mistakes_in(content, validator)
        if not here:
            assert not found, f"{file}: only the schema refuses {found}"
        for problem in here:
            known = [each for each in UNKNOWABLE if re.search(each.message, str(problem))]
            if not any(each.when(content) for each in known):
                assert any(_is_at(problem.path, path) for path in found), (
                    f"the schema does not refuse: {problem}; it refuses {sorted(found)}"
                )


def _is_at(path: str, found: str) -> bool:
    """Whether what the schema refuses is what stands at a path, in it, or the key as such."""
    parent = re.sub(r"(\[\d+\]|(^|\.)[^.\[]*)$", "", path)
    return found in (path, parent) or found.startswith((f"{path}.", f"{path}["))
