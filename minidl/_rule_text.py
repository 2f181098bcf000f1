"""What an update rule may contain, so that every engine computes the same."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ALLOWED = (
    "a rule is one loop, for i in chunks(…), of lines that assign to array[i] what + - * / and "
    "sqrt make of array[i] and of the rule's numbers; a constant is one of its numbers"
)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub)


@dataclass(frozen=True)
class RuleText:
    """The parts of a rule: its parameters, the lines of its loop, the arrays that they write."""

    parameters: list[str]
    lines: list[ast.stmt]
    written: set[str]


def parsed(text: Callable[..., Any]) -> RuleText:
    """The parts of a rule.

    Raises
    ------
    OSError
        if there is no source: the rule was typed in, or made by ``exec``.
    ValueError
        if it contains what engines compute differently, with the line.
    """
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(text))).body
    assert isinstance(function, ast.FunctionDef)
    parameters = [argument.arg for argument in function.args.args]
    body = [line for line in function.body if not _is_docstring(line)]
    match body:
        case [ast.For(target=ast.Name("i"), iter=ast.Call(func=ast.Name("chunks")), body=lines)]:
            pass
        case _:
            raise ValueError(f"{text.__name__}: expected another text: {ALLOWED}")
    written = set()
    for line in lines:
        match line:
            case ast.Assign(targets=[target], value=value):
                pass
            case ast.AugAssign(target=target, op=op, value=value) if isinstance(op, OPERATORS):
                pass
            case _:
                raise _refused(text, line)
        if not _is_entry(target, parameters):
            raise _refused(text, line)
        written.add(ast.unparse(target.value))  # type: ignore[attr-defined]
        _expect_arithmetic(text, line, value, parameters)
    return RuleText(parameters, lines, written)


def _expect_arithmetic(
    text: Callable[..., Any], line: ast.stmt, value: ast.expr, parameters: list[str]
) -> None:
    match value:
        case ast.BinOp(left, op, right) if isinstance(op, OPERATORS):
            _expect_arithmetic(text, line, left, parameters)
            _expect_arithmetic(text, line, right, parameters)
        case ast.UnaryOp(ast.USub(), inner) | ast.Call(ast.Name("sqrt"), [inner], []):
            _expect_arithmetic(text, line, inner, parameters)
        case ast.Name(name) if name in parameters:
            pass
        case ast.Subscript() if _is_entry(value, parameters):
            pass
        case _:
            raise _refused(text, line)


def _is_entry(node: ast.expr, parameters: list[str]) -> bool:
    match node:
        case ast.Subscript(ast.Name(name), ast.Name("i")):
            return name in parameters
    return False


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _refused(text: Callable[..., Any], line: ast.stmt) -> ValueError:
    return ValueError(f"{text.__name__}: line {ast.unparse(line)!r}: {ALLOWED}")
