"""Label maps that show fine-tuning at work."""
