"""A stand-in for Telegram: an MTProto server for signing in and for reading channels."""
