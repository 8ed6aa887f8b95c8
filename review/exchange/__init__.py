"""Other annotation tools: items go out as their files, decisions come back."""
