"""DPO with a learned β."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qstar_pl.checks import at_least, positive
from qstar_pl.evaluation.metrics import PAIR_METRICS, Beta, Comparisons, Metric
from qstar_pl.methods.dpo import DPO
from qstar_pl.methods.strategies.beta_head import BetaActivation, BetaHead, Softplus
from qstar_pl.methods.strategies.beta_objective import BetaObjective, Joint
from qstar_pl.types import LossReport, PreferenceBatch, PromptBatch


class LEDPO(DPO):
    """DPO whose β is learned, one for each prompt: β(x) = beta_min + beta_scale · act(w·ĥ(x) + b).

    h is the policy's last hidden state at the prompt's last token, before any answer; ĥ has length 1.

    What β is fitted to is `objective`; the loss adds a prior that holds β where it started,

        loss = objective + prior_weight · mean (log β − log initial_beta)²,

    a log-normal prior on β: log β has the standard deviation 1/√(2 prior_weight) if every pair counts as one
    observation.

    - `Joint` (default): one preference loss ℓ(β m) for both, as LEDPO is usually written. Comparisons do not determine
      this β: the policy can trade margin for β, so β is a transient that ends at the prior's initial_beta (on real
      pairs it went from .10 over .19 at step 500 to .105 at step 6,000), and with prior_weight = 0 wherever the
      policy's speed leaves it. Read it as a schedule, not as a finding.
    - `HeldOut`: β is fitted to pairs that the policy does not learn from, which determine it.

    Terms: `loss/prior` (the second term), beside DPO's and the objective's; `beta/*` by `BetaDiagnostic`; `validate`
    reports `val/beta`, the mean β of the comparisons' prompts.
    """

    def __init__(
        self,
        initial_beta: float = 0.1,
        beta_min: float = 0.01,
        beta_scale: float = 1.0,
        activation: BetaActivation = Softplus(),
        dynamic: bool = True,
        detach_hidden: bool = True,
        prior_weight: float | None = None,
        objective: BetaObjective = Joint(),
        beta_lr: float = 1e-3,
        metrics: list[Metric] = [*PAIR_METRICS, Beta()],  # noqa: B006 (nobody changes it)
        **kwargs: Any,
    ) -> None:
        """Describe β.

        Args:
            initial_beta: β of every prompt before the first step, in units of reward per nat.
            beta_min: smallest β, positive.
            beta_scale: factor of the activation, positive; 1 or 10 are usual.
            activation: Sigmoid, Softplus or ReLU.
            dynamic: β depends on the prompt; false: it is one learned number.
            detach_hidden: the policy does not learn to move β through the hidden state.
            prior_weight: pull of log β towards log initial_beta, at least 0; None: 0.1 for Joint, 0 for HeldOut.
            objective: Joint, or HeldOut, whose β the data determine.
            beta_lr: learning rate of β's own parameters, scaled by the schedule like the policy's; no weight decay.
            metrics: what `validate` and `test` report; `metrics+=` adds to it.
            **kwargs: see `DPO`.

        """
        super().__init__(beta=initial_beta, metrics=metrics, **kwargs)
        for name, value in {"beta_min": beta_min, "beta_scale": beta_scale, "beta_lr": beta_lr}.items():
            positive(**{name: value})
        if prior_weight is None:
            prior_weight = objective.default_prior_weight
        at_least(0, prior_weight=prior_weight)
        objective.check(detach_hidden)
        activation.inverse((initial_beta - beta_min) / beta_scale)  # raises before any model is loaded
        self.initial_beta = initial_beta
        self.beta_min = beta_min
        self.beta_scale = beta_scale
        self.activation = activation
        self.dynamic = dynamic
        self.detach_hidden = detach_hidden
        self.prior_weight = prior_weight
        self.objective = objective
        self.beta_lr = beta_lr

    def build_models(self) -> None:
        """See `PolicyModule.build_models`; also makes β's head."""
        super().build_models()
        self.beta_head = BetaHead(
            self.policy.config.get_text_config().hidden_size,
            self.activation,
            initial=self.initial_beta,
            minimum=self.beta_min,
            scale=self.beta_scale,
            fixed=not self.dynamic,
        )

    def parameter_groups(self) -> list[Any]:
        """Return two groups: the policy's, and β's with its own rate and no decay, which would be a second prior."""
        policy = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        beta = {"params": list(self.beta_head.parameters()), "name": "beta", "lr": self.beta_lr, "weight_decay": 0.0}
        return [{"params": policy, "name": "policy"}, beta]

    def betas(self, prompts: PromptBatch) -> Tensor:
        """Return β(x) [prompts]."""
        # A one-token answer whose content is never read: the state that predicts it is the prompt's last one.
        ids = prompts.prompt_ids.new_zeros(len(prompts), 1)
        index = torch.arange(len(prompts), device=ids.device)
        # no_grad instead of detach: the pass then keeps no activations.
        with torch.no_grad() if self.detach_hidden else nullcontext():
            _, states = self.policy_tokens.completion_states(
                prompts, index, ids, torch.ones_like(ids, dtype=torch.bool)
            )
        betas: Tensor = self.beta_head(states[:, 0])  # states: [prompts, 1, hidden]
        return betas

    def training_step(self, batch: PreferenceBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the objective and the prior, for the policy and for β."""
        pairs, betas = self.pair_logprobs(batch), self.betas(batch.prompts)
        margins = pairs.margins(per_token=self.loss.per_token)
        fitted = self.objective(self.loss, margins, betas, batch.prompts.keys, self.initial_beta)
        prior = self.prior_weight * (betas / self.initial_beta).log().square().mean()
        loss = fitted.loss + prior
        report = self.preference_report(batch, LossReport(loss, {**fitted.terms, "prior": prior}), pairs, betas)
        return self.step_output(replace(report, histograms={**report.histograms, "beta": betas}), loss)

    def comparisons(self, batch: PreferenceBatch) -> Comparisons:
        """See `DPO.comparisons`; with the β of every pair's prompt."""
        pairs, betas = self.pair_logprobs(batch), self.betas(batch.prompts)
        return Comparisons(batch, margins=pairs.margins(), quantities={"beta": betas, **pairs.quantities(betas)})
