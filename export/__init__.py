"""Trained Keras 3 models -> formats that run without Keras and without this project."""
