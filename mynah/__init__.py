"""The domain that scrapers, training, serving and jobs share. Nothing heavy is imported here."""

__version__ = "0.3.0"
