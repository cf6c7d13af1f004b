"""The names of what is recorded of every answer."""

ROW_NUMBERS = (
    "alpha_mean",
    "alpha_std",
    "ess_ratio",
    "ess_ratio_mean",
    "ess_ratio_std",
    "ess_theta_mean",
    "ess_t_mean",
    "kl_theta_mean",
    "kl_t_mean",
    "kl_gap_mean",
    "acceptance_mean",
    "log_z_mean",
    "log_z_sum",
    "logprob_q_sum",
    "logprob_theta_sum",
    "logprob_t_sum",
    "uncovered_mass_mean",
)
"""The numbers of a row's diagnostics, in the order in which they are written."""
