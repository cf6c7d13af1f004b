"""Run folders as a reader finds them: light, and tolerant of what is half written, damaged or foreign."""
