"""Sections as one HTML page that needs nothing beside it: no script, no font, no picture from elsewhere."""

import base64
from collections.abc import Iterator, Sequence
from html import escape

from harness.results.compare.sections import Section, Table

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; border-top: 2px solid #1a1a1a; padding-top: 1rem; margin-top: 3rem }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
caption { caption-side: bottom; text-align: left; color: #555; padding-top: .4rem; max-width: 60rem }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd }
th { border-bottom: 2px solid #1a1a1a } .text { text-align: left }
figure { margin: 1.2rem 0 } figure img { max-width: 100%; height: auto }
figcaption { color: #555; max-width: 46rem }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 0 2rem }
details td.text { white-space: normal; min-width: 8rem; max-width: 32rem; overflow-wrap: anywhere }
summary { cursor: pointer; font-weight: bold; margin-top: 1.6rem }
@media (max-width: 60rem) { .pictures { display: block } }
"""


def html(sections: Sequence[Section], opening: Sequence[str]) -> str:
    """Return the page, which is well-formed XML too: any strict parser reads it."""
    links = [f'<li><a href="#group-{n}">{escape(one.title)}</a></li>' for n, one in enumerate(sections, 1)]
    lines = [
        '<!DOCTYPE html>', '<html lang="en">', "<head>", '<meta charset="utf-8"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>', "<title>Results, compared</title>",
        f"<style>{STYLE}</style>", "</head>", "<body>", "<h1>Results, compared</h1>",
        *(f"<p>{escape(line)}</p>" for line in opening), f"<ul>{''.join(links)}</ul>",
    ]  # fmt: skip
    for number, one in enumerate(sections, 1):
        lines += [f'<section id="group-{number}">', f"<h2>{escape(one.title)}</h2>", *body(one), "</section>"]
    return "\n".join([*lines, "</body>", "</html>"]) + "\n"


def body(section: Section) -> Iterator[str]:
    for table in section.tables:
        yield from drawn(table)
    if section.pictures:
        yield '<div class="pictures">'
        for picture in section.pictures:
            source = "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode()
            caption = escape(picture.caption)
            yield f'<figure><img alt="{caption}" src="{source}"/><figcaption>{caption}</figcaption></figure>'
        yield "</div>"
    if section.folded:
        yield "<details><summary>What went wrong</summary>"
        for table in section.folded:
            yield from drawn(table)
        yield "</details>"
    for heading, lines in section.notes.items():
        yield f"<h3>{escape(heading)}</h3>"
        yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def drawn(table: Table) -> Iterator[str]:
    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="text"' if place in table.text else "" for place in range(len(row))]
        return "<tr>" + "".join(f"<{tag}{k}>{escape(c)}</{tag}>" for k, c in zip(kinds, row, strict=True)) + "</tr>"

    yield f"<h3>{escape(table.title)}</h3>"
    yield f'<div class="wide"><table><caption>{escape(table.note)}</caption>'
    yield f"<thead>{cells(table.head, 'th')}</thead>"
    yield "<tbody>" + "".join(cells(row, "td") for row in table.rows) + "</tbody></table></div>"
