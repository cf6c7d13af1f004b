"""From dialogues to token ids: keys, templates, encoding, and token ids on disk."""
