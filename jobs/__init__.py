"""What runs and exits: generate, post, promote, status, run."""
