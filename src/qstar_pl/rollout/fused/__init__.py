"""A token per launch: α, the law and the draw in one kernel (Triton, on CUDA)."""
