"""Money, clock, ids, errors: what every other package may use. Standard library only."""
