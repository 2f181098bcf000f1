"""Signal propagation: what theory predicts of networks as they start, and what is measured."""
