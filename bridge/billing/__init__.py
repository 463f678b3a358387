"""What bridge itself asks of a storefront for a tenant."""
