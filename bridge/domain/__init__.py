"""The rules of money. Standard library only; no I/O, no clock."""
