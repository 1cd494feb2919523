"""Rows of many runs: found, chosen and grouped by what they are; compared with error bars (compare/), and weighed
against what a person needs (choose/).
"""
