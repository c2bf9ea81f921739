"""The attack corpus: what a student who means harm tries, and that it fails.

One file a category; its first line is the category's name. Each attack is a function with a decorator that says from where it comes
(`inside` a host, from another student's `session`, from the text of a `lesson`, or from a `stranger`, who has no session), what it tries, what
holds it, where in the code that is, and who says that it failed: never the attacker alone. A `control` shows that what is tried works where
the door is open, or the attacks beside it would prove nothing. Attacks are pytest functions: they ask for fixtures by name.

Nothing here leaves namespaces, wires and sandboxes that the lab made for it. Must not know how to hold anything: that is the product's.
"""
