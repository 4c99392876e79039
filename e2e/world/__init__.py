"""The world that the end-to-end tests live in: a network of its own, and the programs that run there."""
