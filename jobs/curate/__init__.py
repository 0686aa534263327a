"""Curating: the page in a terminal, by rule, by file, and the search over all texts."""
