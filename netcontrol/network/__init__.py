"""A sandbox's network as a graph: what is there, what a command changed, and how that is said. Pure: must not know Redis, agents, pages."""
