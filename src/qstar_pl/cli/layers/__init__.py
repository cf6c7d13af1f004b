"""What a run is made of, lowest first: defaults, a checkpoint's configuration, what the user gave."""
