"""The observer: what the network of this host is, as facts. A process of its own beside the agent, while somebody watches.

Standard library only. It changes nothing that it looks at, and holds no namespace open between two looks: one that is held does
not die, and its links would stay where the student has just removed them. Must not know: connections, shells, who looks, how it
is drawn. What it is told here is the student's to forge, and may not come at all: everything is bounded in number, size and time.
"""
