"""A run while it happens: what it is (its identity and folder), an attempt at it, the worker that is started and
watched, how it ended, and what is shown and logged of it. No figure is made here.
"""
