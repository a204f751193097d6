"""Speed and accuracy bands. Never in unit tests."""
