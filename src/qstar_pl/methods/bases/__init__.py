"""What methods are built on: a policy, and a policy that samples."""
