"""Telling others what happened: the SaaS core, tenants and operators."""
