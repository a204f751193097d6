"""What `tfcifar.predict` does: find images, classify them with whatever model, say what it may not know."""
