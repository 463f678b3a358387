"""Convergence: whatever way an order id comes in, the ledger ends where the order's state says."""
