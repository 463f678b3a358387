"""How fast bridge is, beside a ceiling and a naive peer; `python -m bench --help`.

Every figure is taken from runs whose books were checked, and every goal is a ratio of runs that
took turns on one machine. docs/performance.md is written by this package, wholly.
"""
