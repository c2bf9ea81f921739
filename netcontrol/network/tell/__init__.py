"""What a change means, one part of the network at a time. Each part takes what is its own from the story, and says it or lets it pass."""
