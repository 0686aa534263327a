"""Where texts come from: a module per kind of source."""
