"""How near two texts are, by definition: what is computed from hashes must agree with it."""


def jaccard(one: set[str], other: set[str]) -> float:
    """The share of the shingles of either that are in both."""
    both = len(one & other)
    return both / (len(one) + len(other) - both)
