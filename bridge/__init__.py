"""bridge: every tenant's balance, funded through any WooCommerce gateway."""

__version__ = "0.1.0"
