"""The commands of `qstar`, each in the file of its name; a file's first line says what it does.

Its docstring is the beginning of the command's help; lines in it that begin with `qstar` are the examples at the end.
"""
