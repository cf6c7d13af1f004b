"""Rows and token ids of large datasets on disk, mapped into memory instead of held there."""
