"""How long a recipe is: the lines of its files that hold code."""

import ast
import io
import tokenize
from pathlib import Path

from harness.runs import code


def recipe_lines(name: str, protocol: str = "native") -> int:
    """Count the lines of code of a recipe; what several recipes share is none of its own."""
    return sum(code_lines(path) for path in code.files(name, protocol) if path.suffix == ".py")


def code_lines(path: Path) -> int:
    """Count the lines that hold code: no blank lines, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)
