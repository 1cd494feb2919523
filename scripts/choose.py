"""Say which library to take for your own constraints, and why: by what was measured, and what the recipes declare.

On a terminal, without options, it asks. It answers with a ranked list: for each library its reasons, each a measured
figure with its run or a declared trait with its source and date, what rules one out, and the command to start with.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap
from harness.base.errors import guarded


def main() -> int:
    from harness.base import layout
    from harness.results import choose, traits

    libraries = traits.libraries()
    arguments = choose.parser(__doc__, libraries).parse_args()
    question = choose.asked(arguments, libraries)
    considered = choose.considered(question, libraries)
    evidence = choose.gather(question, {library.name for library in considered})
    if pictures := [one.name for one in libraries if one.reads_pictures and one not in considered]:
        evidence.notes.append(f"for pictures, and left out: {', '.join(pictures)} (--task images asks for it)")
    answer = choose.answer(question, considered, evidence)
    if arguments.json:
        import json

        print(json.dumps(answer, indent=1))  # ASCII alone: true in whatever encoding it is read
    else:
        width = layout.columns()
        print((choose.explained(answer, width) if arguments.explain else "") + choose.told(answer, width))
    return 1 if answer["advice"] else 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are small: more threads would only wait, and spin
    bootstrap.enter()
    sys.exit(guarded(main))
