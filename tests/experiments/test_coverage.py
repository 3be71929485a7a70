"""Witnesses reach the code: what they leave out of an experiment's module is said, with a reason.

A line that the witness does not run has `# not in the witness: <reason>` beside it or above, or a
line that opens a block around it has. Stages and stored results are trusted because the witness
agrees, so what computes belongs into the witness; reasons are for errors, for what only chapters
call, for data that is not to be had everywhere.
"""

import ast
import importlib
import re
import sys
import tokenize
from pathlib import Path

import pytest

from rs_lib import experiments
from rs_lib.record.stage import Context

MARK = re.compile(r"# not in the witness: \S+ \S+")
EMPTY = (ast.Pass, ast.Global, ast.Nonlocal)


def _kind(node):
    return "lambda" if isinstance(node, ast.Lambda) else "line"


def _header(node):
    """Return the lines of a statement or lambda, without the blocks in it."""
    inner = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)]
    inner += getattr(node, "handlers", [])
    last = min((part.lineno - 1 for part in inner), default=node.end_lineno)
    return range(node.lineno, max(last, node.lineno) + 1)


def _parts(node, around=(), inside=False):
    """Yield what runs when a function is called: (kind, lines, lines of all that is around it)."""
    for child in ast.iter_child_nodes(node):
        outer, within = around, inside
        if isinstance(child, ast.stmt | ast.Lambda):
            text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.Lambda) or (inside and not (text or isinstance(child, EMPTY))):
                yield _kind(child), _header(child), around
            outer = (*around, _header(child))
            within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _parts(child, outer, within)


def _marks(path):
    """Return the lines that carry a mark with a reason; one above a line is that line's."""
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    return {
        token.start[0] + token.line.lstrip().startswith("#")
        for token in tokens
        if MARK.match(token.string)
    }


def left_out(path, executed):
    """Return the first lines that were not executed without a reason, and the idle marks."""
    marks, used, missing = _marks(path), set(), []
    for kind, lines, around in _parts(ast.parse(path.read_text())):
        if not any((kind, line) in executed for line in lines):
            reasons = {line for part in (lines, *around) for line in part} & marks
            used |= reasons
            missing += [] if reasons else [lines.start]
    return sorted(missing), sorted(marks - used)


def traced(path, run):
    """Return the lines of the file `path` that `run` executes in functions, with their kinds."""
    executed = set()

    def local(frame, event, _):
        kind = "lambda" if frame.f_code.co_name == "<lambda>" else "line"
        executed.add((kind, frame.f_lineno))
        return local

    def called(frame, event, _):
        return local if frame.f_code.co_filename == str(path) else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(before)
    return executed


SAMPLE = '''
def chosen(value):
    """What it says."""
    if value < 0:  # not in the witness: an error
        value = 0
        raise ValueError(value)
    if (
        value > 10
        and value < 20
    ):
        return 3
    # not in the witness: never idle
    for part in range(value):
        value += part
    double = lambda number: 2 * number
    return [
        value
        for value in (1, 2)
    ]


class Held:
    kept = 1

    def never(self):  # not in the witness: only chapters call it
        return 2
'''


def test_the_tracer_sees_what_runs_and_takes_reasons_for_the_rest(tmp_path, monkeypatch):
    path = tmp_path / "sample_traced.py"
    path.write_text(SAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    sample = importlib.import_module("sample_traced")
    lines = SAMPLE.splitlines()
    missing, idle = left_out(path, traced(path, lambda: sample.chosen(2)))
    assert [lines[line - 1].strip() for line in missing] == ["return 3", SAMPLE_LAMBDA]
    assert [lines[line - 1].strip() for line in idle] == ["for part in range(value):"]


SAMPLE_LAMBDA = "double = lambda number: 2 * number"


@pytest.mark.parametrize("name", experiments.names())
def test_a_witness_reaches_every_line_that_has_no_reason_not_to(name):
    experiment = experiments.find(name)
    path = Path(sys.modules[experiment.module].__file__)
    executed = traced(path, lambda: experiment.compute(experiment.witness, Context()))
    missing, idle = left_out(path, executed)
    assert missing == [], f"{path.name}: lines the witness does not reach, and no reason is given"
    assert idle == [], f"{path.name}: lines with a reason that is not needed"
