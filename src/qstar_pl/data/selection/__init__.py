"""Which rows are used, and for what: filters, subsets, splits."""
