"""Dataset, fine-tuning, evaluation, publishing."""
