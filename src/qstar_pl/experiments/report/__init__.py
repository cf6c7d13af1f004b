"""What an experiment's folder says: who learned most, how sure that is, and what it means for q*."""
