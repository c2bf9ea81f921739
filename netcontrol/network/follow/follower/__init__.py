"""The program that looks at one packet from inside a host: sent there as one text, answers with one JSON object. See ../__init__.py.

Runs under the host's own python3 with nothing but the standard library, as root. It leaves nothing behind, however it ends. Must not
know: the graph, what its answer means, Django.
"""
