"""What an operator may say, checked as a whole; config.example.toml is the manual."""

from bridge.config.fields import Listen
from bridge.config.loading import find, load
from bridge.config.model import Config, Storefront

__all__ = ["Config", "Listen", "Storefront", "find", "load"]
