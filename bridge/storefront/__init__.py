"""The only place that knows WooCommerce: `client` asks, `parse` reads, `signature` verifies."""
