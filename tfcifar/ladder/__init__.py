"""The five levels in order, each a few commands, on one split; ends with a comparison of all that they made."""
