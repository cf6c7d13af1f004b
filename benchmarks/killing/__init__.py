"""Training runs that kill themselves at named moments."""
