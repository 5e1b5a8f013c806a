"""What a change and an answer cost as things grow."""
