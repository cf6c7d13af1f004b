"""The commands of `qstar`, each in the file of its name; a file's first line says what it does."""
