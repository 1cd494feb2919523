"""`scripts/compare.py`: results beside one another, with what their seeds and rows allow one to say.

analysis.py     what is computed for each group of results, and nothing about how it looks
statistics.py   the statistics, from arrays alone
rules.py        the rules that a table is held to, printed with it
sections.py     the analysis in words and tables
same.py         the A/A check: a recipe against itself
published.py    what an experiment reproduces, and the figures published for it
against.py      the same results, now and then
render.py       sections on the terminal, as Markdown and LaTeX; the analysis as CSV
page.py         sections as an HTML page
pictures.py     the pictures of a group, by matplotlib
classes.py      what the pictures show of each class
"""
