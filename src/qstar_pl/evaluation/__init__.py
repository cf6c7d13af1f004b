"""How well a policy does: the metrics of `validate` and `test`, and pass@k of sampled programs."""
