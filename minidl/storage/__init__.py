"""Files whole or not at all: weights, sealed records, and reading what is not trusted."""
