"""The form of the package: imports go one way, files stay small, nobody asks which family it is, the map is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bayesglm"

# A module imports only from what stands above it here, or from its own line.
ORDER = (
    "errors",
    "registry versions",
    "datasets",
    "data",
    "formula",
    "log_density own_scales",
    "priors",
    "terms",
    "families",
    "design",
    "specification",
    "model",
    "latent",
    "accelerated",
    "formulation engines",
    "fitted unstructured",
    "agreement rows",
    "responses",
    "newdata pointwise predict",
    "contrast describe prior_predictive summary storage",
    "checks",
    "plots report",
    "mixtures",
    "facade",
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}
# Imported inside the functions that use them: slow to import, or optional.
HEAVY = {"dask", "formulaic", "ibis", "jax", "matplotlib", "nutpie"}
HEAVY |= {"arviz", "arviz_base", "arviz_plots", "arviz_stats"}
MOST_LINES = 400
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc"}
# The door, where a family may be given as a record or by its name.
FAMILY_DOOR = "bayesglm/formulation.py"
# The term of the common effects is called by the statistician's word for them.
NO_DRAWER = {"bayesglm/terms/common.py"}

MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]


def head(module: str) -> str:
    """Return the part of a dotted module name that has a rank: ``terms`` of ``bayesglm.terms.season``."""
    return [*module.split("."), ""][1]


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the dotted names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.module == "bayesglm":
        return [f"bayesglm.{alias.name}" for alias in node.names]
    return [node.module or ""]


def imports(tree: ast.Module) -> Iterator[tuple[bool, str]]:
    """Yield every import as (inside a function, module)."""
    inside = {
        id(each)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for each in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module in imported(node):
                yield id(node) in inside, module


def backward_imports(name: str, source: str) -> list[str]:
    """Return the imports that go against the order, or that hide inside a function."""
    own = head(name.removesuffix(".py").replace("/", "."))
    if own not in RANK:
        return [f"{name} has no place in ORDER"]
    wrong = []
    for inside, module in imports(ast.parse(source)):
        if module.split(".")[0] != "bayesglm":
            continue
        other = head(module)
        if inside:
            wrong.append(f"{name} imports {module} inside a function")
        if RANK.get(other, len(ORDER)) > RANK[own]:
            wrong.append(f"{name} imports {module}, which stands to its right")
    return wrong


def heavy_imports(source: str) -> list[str]:
    """Return the heavy modules imported at the top."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return [module for inside, module in imports(tree) if not inside and module.split(".")[0] in HEAVY]


def family_questions(source: str, classes: frozenset[str]) -> list[str]:
    """Return the expressions that ask which family (or which class of one) something is."""
    asked = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            kinds = set(re.findall(r"\w+", ast.unparse(node.args[1])))
            if kinds & classes:
                asked.append(ast.unparse(node))
        if isinstance(node, ast.Compare):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            if any(re.search(r"\bfamily\.(name|label)$", side) for side in sides):
                asked.append(ast.unparse(node))
    return asked


@cache
def family_classes() -> frozenset[str]:
    """Return the names of the classes defined in the folder of the families."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (PACKAGE / "families").glob("*.py")]
    return frozenset(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def listed(text: str) -> list[str]:
    """Return the modules that a tree lists, as paths from its first line."""
    folders: list[str] = []
    found = []
    for line in text.splitlines():
        match = re.match(r"( *)([\w./-]+)", line)
        if match is None:
            continue
        depth, name = len(match[1]) // 2, match[2]
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        elif name.endswith(".py"):
            found.append("".join(folders) + name)
    return found


def first_sentence(path: Path) -> str:
    """Return what a module says of itself."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "?").split("\n")[0].rstrip(".")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bayesglm/__init__.py"])
def test_imports_go_one_way(name):
    assert backward_imports(name, (ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", NAMES)
def test_heavy_packages_wait_until_they_are_used(name):
    assert heavy_imports((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", NAMES)
def test_nobody_asks_which_family_it_is(name):
    classes = family_classes() - ({"Family"} if name == FAMILY_DOOR else set())
    assert family_questions((ROOT / name).read_text(encoding="utf-8"), classes) == []


@pytest.mark.parametrize("name", NAMES)
def test_one_module_one_noun(name):
    path = ROOT / name
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert path.stem not in DRAWERS or name in NO_DRAWER


def test_the_map_lists_every_module_once():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(bayesglm/\n.*?)```", text, flags=re.DOTALL)
    assert block is not None, "docs/architecture.md has no tree that starts with bayesglm/"
    found = listed(block[1])
    assert len(found) == len(set(found)), "a module is listed twice"
    actual = {name for name in NAMES if name == "bayesglm/__init__.py" or not name.endswith("__init__.py")}
    missing = [f"{name}  {first_sentence(ROOT / name)}" for name in sorted(actual - set(found))]
    assert not missing, "add to the tree in docs/architecture.md:\n" + "\n".join(missing)
    assert sorted(set(found) - actual) == [], "the tree lists what is not there"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("bayesglm/terms/group.py", "from bayesglm.model import build"),
        ("bayesglm/terms/group.py", "import bayesglm.facade"),
        ("bayesglm/terms/group.py", "from bayesglm import engines"),
        ("bayesglm/facade.py", "def f():\n    from bayesglm.errors import DataError"),
        ("bayesglm/nowhere.py", "import math"),
        ("bayesglm/errors.py", "from bayesglm import load_dataset"),
    ],
)
def test_a_backward_import_is_seen(name, source):
    assert len(backward_imports(name, source)) == 1


def test_forward_imports_pass():
    source = "import numpy\nfrom bayesglm.errors import DataError\nfrom bayesglm.terms.term import Term"
    assert backward_imports("bayesglm/terms/group.py", source) == []


def test_a_heavy_import_is_seen():
    assert heavy_imports("import arviz as az") == ["arviz"]
    assert heavy_imports("def f():\n    import arviz as az") == []
    assert heavy_imports("if TYPE_CHECKING:\n    import arviz as az") == []


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(family, Family)",
        "isinstance(x, (str, Hurdle))",
        "family.name == 'poisson'",
        "model.family.name in COUNTS",
    ],
)
def test_a_question_about_the_family_is_seen(source):
    assert len(family_questions(source, frozenset({"Family", "Hurdle"}))) == 1


def test_other_questions_pass():
    assert family_questions("isinstance(family, str) and term.name == 'group'", frozenset({"Family"})) == []


def test_the_tree_is_read():
    assert listed("bayesglm/\n  fit.py   the fit\n  terms/\n    group.py  groups\n  model.py  models\n") == [
        "bayesglm/fit.py", "bayesglm/terms/group.py", "bayesglm/model.py",
    ]
