"""Clients and targets that break the rules: what they are told, what gets through, and who else notices."""
