"""Exchange with other annotation tools: items are exported as their files, and decisions are imported."""
