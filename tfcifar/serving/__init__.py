"""The HTTP server: one queue and worker thread for each model, three protocols in front of them."""
