"""Bytes on disk -> batches of tensors."""
