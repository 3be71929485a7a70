"""Write Statements.v, which makes Coq print every definition and theorem and what it rests on.

Usage: python3 statements.py > FOLDER/Statements.v, from this folder. Nothing is listed by hand, so
nothing can be left out: whatever a file calls Definition, Fixpoint or Theorem is printed.
"""

import re
from pathlib import Path

_SPOKEN = re.compile(r"^(Definition|Fixpoint|Theorem) (\w+)", re.MULTILINE)
_LIBRARY = re.compile(r"^From (\w+) Require Import ([^.]+)\.", re.MULTILINE)
_SCOPES = re.compile(r"^(?:Delimit|Local Open) Scope [^.]+\.", re.MULTILINE)


def files() -> list[str]:
    """Return the names of the files in their order, without .v."""
    return re.findall(r"^(\w+)\.v$", Path("_CoqProject").read_text(), re.MULTILINE)


def loaded(texts: list[str]) -> str:
    """Return the lines that load every library, importing none."""
    wanted = dict.fromkeys(
        (root, name)
        for text in texts
        for root, names in _LIBRARY.findall(text)
        for name in names.split()
    )
    return "\n".join(f"From {root} Require {name}." for root, name in wanted)


def printed(name: str, text: str) -> str:
    """Return the commands for one file, read as that file reads: same imports, same scopes."""
    # Ours by their full names: another library that is loaded has a Binomial too.
    imported = [
        library if root != "Formal" else f"Formal.{library}"
        for root, names in _LIBRARY.findall(text)
        for library in names.split()
    ]
    own = f"Formal.{name}"
    lines = [f"Module Of{name}.", f"Import {' '.join([*imported, own])}.", *_SCOPES.findall(text)]
    for kind, spoken in _SPOKEN.findall(text):
        lines.append(f'Goal True. idtac "== {name}.{spoken}". Abort.')
        if kind == "Theorem":
            lines.append(f"Check @{own}.{spoken}. Print Assumptions {own}.{spoken}.")
        else:
            lines.append(f"Print {own}.{spoken}.")
    return "\n".join([*lines, f"End Of{name}."])


def main() -> None:
    """Print the commands for all files."""
    texts = {name: Path(f"{name}.v").read_text() for name in files()}
    print(loaded(list(texts.values())))
    print("\n".join(f"From Formal Require {name}." for name in texts))
    print("Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.")
    print("Set Printing Width 100.")
    for name, text in texts.items():
        print(f"\n{printed(name, text)}")


if __name__ == "__main__":
    main()
