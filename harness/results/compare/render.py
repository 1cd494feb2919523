"""Sections on the terminal, as Markdown and LaTeX; the analysis, figure by figure, as CSV."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from harness.base import screen
from harness.results.compare.analysis import Analysis
from harness.results.compare.page import html
from harness.results.compare.sections import Section

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "ε": r"$\varepsilon$", "<": r"\textless{}",
    "…": r"\dots{}",
}  # fmt: skip


SHOWN = 20  # sections on the terminal; more are not read there, and take rich some 20 ms each


def terminal(sections: Sequence[Section], opening: Sequence[str]) -> None:
    """Print the first sections; elsewhere than on a terminal no line is broken or coloured."""
    parts: list[screen.Lines | screen.Table] = [screen.Lines("\n".join(opening))] if opening else []
    for section in sections[:SHOWN]:
        parts.append(screen.Lines(f"\n{section.title}", "bold"))
        for table in section.tables:
            parts.append(screen.Lines(f"\n{table.title}", "cyan"))
            parts.append(screen.Table(table.head, table.rows, table.text))
            parts.append(screen.Lines(table.note, "dim"))
        for heading, lines in section.notes.items():
            parts.append(screen.Lines(f"\n{heading}", "cyan"))
            parts.append(screen.Lines("\n".join(f"- {line}" for line in lines)))
    screen.say(screen.console(), *parts)


def markdown(sections: Sequence[Section], opening: Sequence[str]) -> str:
    return "\n".join(["# Results, compared", "", *opening, *map(markdown_section, sections)]) + "\n"


def markdown_section(section: Section) -> str:
    """Return a section as Markdown, with the pictures that lie in files."""

    def cells(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"

    lines = ["", f"## {section.title}"]
    for table in section.tables:
        bars = ["---" if place in table.text else "---:" for place in range(len(table.head))]
        lines += ["", f"### {table.title}", "", cells(table.head), cells(bars), *map(cells, table.rows)]
        lines += ["", table.note] if table.note else []
    for path, caption in section.files:
        lines += ["", f"![{caption.partition(':')[0]}]({path})", "", f"*{caption}*"]
    for heading, notes in section.notes.items():
        lines += ["", f"### {heading}", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def latex(sections: Sequence[Section], opening: Sequence[str]) -> str:
    """Return tables to \\input into a document that uses booktabs."""
    lines = [r"% \usepackage{booktabs}", *(f"% {line}" for line in opening)]
    for section in sections:
        for table in section.tables:
            columns = "".join("l" if place in table.text else "r" for place in range(len(table.head)))
            caption = escaped(f"{section.title}. {table.title}. {table.note}")
            body = [" & ".join(map(escaped, row)) + r" \\" for row in table.rows]
            lines += [
                "",
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{caption}}}",
                rf"\begin{{tabular}}{{{columns}}}",
            ]
            lines += [r"\toprule", " & ".join(map(escaped, table.head)) + r" \\", r"\midrule", *body, r"\bottomrule"]
            lines += [r"\end{tabular}", r"\end{table}"]
        for heading, notes in section.notes.items():
            items = [rf"\item {escaped(note)}" for note in notes]
            lines += ["", rf"\paragraph{{{escaped(heading)}}}", r"\begin{itemize}", *items, r"\end{itemize}"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return text as LaTeX reads it; a bracket that opens a cell would be taken for an option of the line before."""
    found = "".join(LATEX.get(character, character) for character in text)
    return "{}" + found if found.startswith("[") else found


HEAD = [
    "data", "data_digest", "task", "model", "protocol", "precision", "machine", "threads", "placement", "processes",
    "epochs", "batch", "settings", "what", "figure", "ours", "others", "runs", "failed", "interrupted", "value", "low",
    "high", "p", "p_holm", "epsilon",
]  # fmt: skip


def comma_separated(analyses: Sequence[Analysis]) -> str:
    """Return one line a figure: of what competes, and of each pair; times and memory are medians, and their ratios."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEAD, lineterminator="\n")
    writer.writeheader()
    for analysis in analyses:
        group = {key: value for key, value in analysis.group._asdict().items() if key in HEAD}
        for line in (*figures(analysis), *pairs(analysis)):
            writer.writerow({**group, **{key: "" if value != value else value for key, value in line.items()}})
    return text.getvalue()


def figures(analysis: Analysis) -> Iterator[dict[str, object]]:
    for one in analysis.contestants:
        about = {"ours": one.name, "failed": len(one.failed), "interrupted": len(one.interrupted)}
        if not one.runs:
            kind = "failed" if one.failed else "interrupted" if one.interrupted else "trials"
            yield {"what": kind, **about, "runs": 0}
        for figure in analysis.figures:
            if found := one.summary(figure):
                kind = "median" if figure.unit else "mean"
                runs = len(one.values(figure))
                yield {"what": kind, "figure": figure.key, **about, "runs": runs, **found._asdict()}


def pairs(analysis: Analysis) -> Iterator[dict[str, object]]:
    for pair in analysis.pairs or []:
        about, found = {"ours": pair.ours, "others": pair.others}, pair.difference
        values = {"value": found.value, "low": found.low, "high": found.high, "p": found.p, "p_holm": pair.corrected}
        yield {
            "what": "difference",
            "figure": f"test.{analysis.group.metrics.primary}",
            **about,
            "runs": found.seeds,
            **values,
            "epsilon": pair.order,
        }
        for key, ratio in pair.ratios.items():
            yield {"what": "ratio", "figure": key, **about, **ratio._asdict()}


TEXT: dict[str, Callable[[Sequence[Section], Sequence[str]], str]] = {".md": markdown, ".tex": latex, ".html": html}
