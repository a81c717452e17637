"""The style guide's limits on modules, classes and functions. A docstring does not count: explaining must cost nothing."""

import ast
from collections.abc import Iterator

from tests.project.conftest import SourceFile

LONGEST_MODULE = 500
LONGEST_FUNCTION = 60
MOST_METHODS = 15
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "base", "common", "misc"}
PLACES_THAT_CATCH_ALL = 2


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "property" for one in function.decorator_list)


def test_no_module_is_longer_than_one_idea_needs(source_files: list[SourceFile]) -> None:
    lengths = {str(file.path): file.text.count("\n") for file in source_files}
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_function_is_longer_than_a_screen(source_files: list[SourceFile]) -> None:
    lengths = {f"{file.path}:{function.name}": lines_of(function) for file in source_files for function in functions(file.tree)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_no_class_has_more_methods_than_can_be_kept_in_mind(source_files: list[SourceFile]) -> None:
    too_many = {}
    for file in source_files:
        if "tests" in file.path.parts or "conformance" in file.path.parts:
            continue  # there a method is a test
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
                named = {method.name for method in methods if not method.name.startswith("__") and not is_property(method)}
                if len(named) > MOST_METHODS:
                    too_many[f"{file.path}:{node.name}"] = len(named)
    assert too_many == {}


def test_modules_are_named_by_a_noun_of_the_field(source_files: list[SourceFile]) -> None:
    assert [str(file.path) for file in source_files if file.path.stem in NAMES_THAT_SAY_NOTHING] == []


def test_every_module_says_what_it_is_for(source_files: list[SourceFile]) -> None:
    speaking = [file for file in source_files if file.text.strip() and not file.path.name.startswith("test_")]  # those name their subject
    assert [str(file.path) for file in speaking if not ast.get_docstring(file.tree)] == []


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether a handler stops every exception; one that cleans up and raises it again does not."""
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type is not None else {"Exception"}
    return bool(names & {"Exception", "BaseException"}) and not isinstance(handler.body[-1], ast.Raise)


def test_every_exception_is_caught_in_two_places_only(source_files: list[SourceFile]) -> None:
    found = [
        f"{file.path}:{node.lineno}"
        for file in source_files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ExceptHandler) and "tests" not in file.path.parts and catches_all(node)
    ]
    assert len(found) <= PLACES_THAT_CATCH_ALL, found
