"""Our database: the only place that knows SQL."""
