"""The HTTP edge: the internal API of the SaaS core, and the public door for webhooks."""
