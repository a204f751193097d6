"""The level 4 report: a paper about a set of systems, written from their run directories alone."""
