"""Stand-ins for the world outside, which speak its real protocols: for trying a bot out, and for tests."""
