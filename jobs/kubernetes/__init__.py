"""The cluster: its API, and the jobs that are submitted to it."""
