"""The kernel: α, a token and all that is written of it, one program per row. The only module that imports triton.

A program reads its row in blocks, once for the largest logits, once for the normalizers, once for each evaluation of
the root problem (1–2), and once for the law at α*; from the second time on the row lies in the L2 cache. What it solves
is `qstar.kl_symmetry` with the same steps, bracket and tolerance. It has the logits instead of log-probabilities that
were rounded, and therefore no need to look for what rounding took (`KLSymmetryProblem.sharpen`).
"""

import triton
import triton.language as tl

EPS = tl.constexpr(1.1920929e-7)
"""Of float32."""
IDENTICAL = tl.constexpr(1)
BOUNDARY = tl.constexpr(2)
DISJOINT = tl.constexpr(3)
"""As in `AlphaStatus`."""


@triton.jit
def _log1p(x):
    return tl.log(1.0 + x.to(tl.float64)).to(tl.float32)


@triton.jit
def _expm1_small(x):
    """Return exp(x) − 1 for |x| < ½ to float32's last digits."""
    series = 1.0 / 5040 + x * (1.0 / 40320 + x * (1.0 / 362880))
    series = 1.0 / 24 + x * (1.0 / 120 + x * (1.0 / 720 + x * series))
    return x * (1.0 + x * (0.5 + x * (1.0 / 6 + x * series)))


@triton.jit
def _read(policy, target, columns, vocab):
    inside = columns < vocab
    x = tl.load(policy + columns, mask=inside, other=-float("inf")).to(tl.float32)
    y = tl.load(target + columns, mask=inside, other=-float("inf")).to(tl.float32)
    return x, y


@triton.jit
def _logprobs(policy, target, columns, vocab, top_policy, top_target, log_target, shift):
    """Return log π_θ, log π_t, their difference on the common support (0 elsewhere), and that support [BLOCK].

    The normalizers are top + log; `shift` is log_policy − log_target, known better than either.
    """
    x, y = _read(policy, target, columns, vocab)
    common = (x > -float("inf")) & (y > -float("inf"))
    target_logprobs = (y - top_target) - log_target
    # Of models that hardly differ, x − y is exact; a difference of log-probabilities would be all rounding.
    log_ratio = tl.where(common, ((x - y) - (top_policy - top_target)) - shift, 0.0)
    policy_logprobs = tl.where(common, target_logprobs + log_ratio, (x - top_policy) - log_target - shift)
    return policy_logprobs, target_logprobs, log_ratio, common


@triton.jit
def _moments(policy, target, vocab, top_policy, top_target, log_target, shift, alpha, BLOCK: tl.constexpr):
    """Return Λ and its first three derivatives, sqrt(E_q[d²]) and the rounding of Λ' at `alpha`, d the log-ratio.

    `qstar.tilt.cumulants` of a row.
    """
    top = tl.full((), -float("inf"), tl.float32)
    zeroth = tl.zeros([BLOCK], tl.float32)
    first = tl.zeros([BLOCK], tl.float32)
    second = tl.zeros([BLOCK], tl.float32)
    third = tl.zeros([BLOCK], tl.float32)
    for start in range(0, vocab, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        _, base, ratio, common = _logprobs(policy, target, columns, vocab, top_policy, top_target, log_target, shift)
        exponents = tl.where(common, base + alpha * ratio, -float("inf"))
        raised = tl.maximum(top, tl.max(exponents, 0))
        scale, terms = _rescaled(top, raised, exponents)
        zeroth = zeroth * scale + terms
        terms *= ratio
        first = first * scale + terms
        terms *= ratio
        second = second * scale + terms
        third = third * scale + terms * ratio
        top = raised
    total = tl.sum(zeroth, 0)
    mean = tl.sum(first, 0) / total
    square = tl.sum(second, 0) / total
    cube = tl.sum(third, 0) / total
    variance = tl.maximum(square - mean * mean, 0.0)
    skew = cube - mean * (3.0 * square - 2.0 * mean * mean)
    log_z, rms = top + tl.log(total), tl.sqrt(square)
    # The most probable token's term is about the mean; the others come to √(1 − its probability) · rms at most.
    terms = tl.abs(mean) + tl.sqrt((total - 1.0) / total + EPS) * rms
    return log_z, mean, variance, skew, rms, terms * (1.0 - log_z) * EPS * 4


@triton.jit
def _rescaled(top, raised, exponents):
    """Return exp(top − raised) and exp(exponents − raised), 0 as long as all are −inf."""
    level = tl.where(raised > -float("inf"), raised, 0.0)
    return tl.exp(top - level), tl.exp(exponents - level)


@triton.jit
def _move(alpha, low, high, previous, tol, log_z, value, slope, curvature, rms, noise):
    """Return where `qstar.root.find_root` goes from `alpha`, whether that is all, and whether Λ' is only rounding."""
    skew = curvature / slope
    width = tl.sqrt(skew * skew + 4.0 * slope)
    longer = 0.5 * (tl.abs(skew) + width)
    shorter = slope / longer
    right = tl.where(skew > 0, longer, shorter)
    left = tl.where(skew > 0, shorter, longer)
    # log(right/left) − log((value + right)/(left − value)) as one logarithm, which keeps its digits near 0.
    size = _log1p(-value * width / (left * (value + right))) / width
    size = tl.where(tl.abs(size) < float("inf"), size, -value / slope)
    proposal = alpha + size
    inside = (slope > value * value * EPS * 32) & (proposal >= low) & (proposal <= high)
    blurred = (tl.abs(value) <= noise) & ((noise < tol * slope) == 0)
    # `KLSymmetryProblem.foresee`.
    reach = size * width
    miss = 0.1 * tl.abs(size) * reach * reach
    h = tl.minimum(tl.maximum(size, -0.5), 0.5)
    fourth = -384.0 * log_z - 48.0 * slope
    fifth = -1920.0 * value - 80.0 * curvature
    ahead = value + h * (slope + h * (curvature / 2 + h * (fourth / 6 + h * fifth / 24)))
    slope_ahead = slope + h * (curvature + h * (fourth / 2 + h * fifth / 6))
    middle = tl.maximum(tl.abs(ahead / slope_ahead), 0.2 * miss)
    miss = tl.where(alpha == 0.5, middle, miss)
    finished = (inside & (miss <= tol)) | blurred | (high - low <= tol)
    step = inside & (finished | (tl.abs(value) <= 0.5 * previous)) & (blurred == 0)
    # `KLSymmetryProblem.guess`.
    known = (alpha == 0.5) & (rms * (1.0 / 16) > EPS) & (slope > 0)
    guess = alpha + tl.where(known, tl.minimum(tl.maximum(skew / 24, -0.1), 0.1), 0.0)
    other = tl.where(blurred, guess, 0.5 * (low + high))
    return tl.where(step, proposal, other), finished, blurred


@triton.jit
def _first(masses, uniform, SIZE: tl.constexpr):
    """Return the index whose cumulated mass [SIZE] exceeds the uniform number, and how far into that mass it falls."""
    index = tl.arange(0, SIZE)
    cumulated = tl.cumsum(masses, 0)
    point = uniform * tl.max(cumulated, 0)
    found = tl.min(tl.where((cumulated > point) & (masses > 0), index, SIZE), 0)
    last = tl.max(tl.where(masses > 0, index, 0), 0)
    found = tl.where(found < SIZE, found, last)
    mass = tl.sum(tl.where(index == found, masses, 0.0), 0)
    before = tl.sum(tl.where(index == found, cumulated, 0.0), 0) - mass
    return found, tl.minimum(tl.maximum((point - before) / mass, 0.0), 1.0)


@triton.jit
def _exponents(policy_logprobs, target_logprobs, log_ratio, common, alpha):
    """Return log q before it is normalized; at 0 and 1 the law itself, also outside the common support."""
    blend = tl.where(common, target_logprobs + alpha * log_ratio, -float("inf"))
    return tl.where(alpha == 0.0, target_logprobs, tl.where(alpha == 1.0, policy_logprobs, blend))


# Rows leave the batch as answers end: their number must not be one that is compiled for.
@triton.jit(do_not_specialize=["rows"])
def draw_kernel(
    policy,  # [rows, vocab] logits, policy_stride apart
    target,
    policy_stride,
    target_stride,
    uniforms,  # [rows] float64
    tokens,  # [rows] int64, out
    columns_out,  # [len(COLUMNS), rows] float32, out
    facts_out,  # [3, rows] int32, out: status, passes, whether they were enough
    rows,
    vocab,
    given_alpha,  # α unless SOLVE
    tol,
    max_iter,
    fallback,  # α of rows without a common token
    temperature,
    SOLVE: tl.constexpr,
    TEMPERED: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCKS: tl.constexpr,
):
    """Draw the token of one row, see `draw`."""
    row = tl.program_id(0).to(tl.int64)
    policy += row * policy_stride
    target += row * target_stride
    lanes = tl.arange(0, BLOCK)

    # The largest logits.
    top_policy = tl.full((), -float("inf"), tl.float32)
    top_target = tl.full((), -float("inf"), tl.float32)
    wrong = tl.full((), 0, tl.int32)
    shared = tl.full((), 0, tl.int32)
    single = tl.full((), 0, tl.int32)
    for start in range(0, vocab, BLOCK):
        x, y = _read(policy, target, start + lanes, vocab)
        top_policy = tl.maximum(top_policy, tl.max(x, 0))
        top_target = tl.maximum(top_target, tl.max(y, 0))
        wrong += tl.sum(((x < float("inf")) & (y < float("inf"))).to(tl.int32) - 1, 0)  # neither NaN nor +inf
        shared += tl.sum(((x > -float("inf")) & (y > -float("inf"))).to(tl.int32), 0)
        single += tl.sum(((x > -float("inf")) != (y > -float("inf"))).to(tl.int32), 0)
    empty = (top_policy == -float("inf")) | (top_target == -float("inf"))

    # Their normalizers. Σ π_t (π_θ/π_t − 1) gives log Σ exp x − log Σ exp y with as many digits as x − y has.
    sum_policy = tl.zeros([BLOCK], tl.float32)
    sum_target = tl.zeros([BLOCK], tl.float32)
    sum_excess = tl.zeros([BLOCK], tl.float32)
    for start in range(0, vocab, BLOCK):
        p, t, ratio, common = _logprobs(policy, target, start + lanes, vocab, top_policy, top_target, 0.0, 0.0)
        terms_policy, terms_target = tl.exp(p), tl.exp(t)
        near = common & (tl.abs(ratio) < 0.5)
        excess = tl.where(near, terms_target * _expm1_small(ratio), terms_policy - terms_target)
        sum_policy += terms_policy
        sum_target += terms_target
        sum_excess += excess
    total_policy = tl.sum(sum_policy, 0).to(tl.float64)
    total_target = tl.sum(sum_target, 0).to(tl.float64)
    excess_share = tl.sum(sum_excess, 0) / total_target.to(tl.float32)
    log_target = tl.log(total_target).to(tl.float32)
    shift = tl.where(
        tl.abs(excess_share) < 0.1, _log1p(excess_share), tl.log(total_policy / total_target).to(tl.float32)
    )

    # α.
    disjoint = shared == 0
    alpha = tl.full((), 0.5, tl.float32)
    status = tl.full((), 0, tl.int32)
    passes = tl.full((), 0, tl.int32)
    enough = tl.full((), 1, tl.int32)
    if SOLVE:
        going = (disjoint == 0) & (wrong == 0) & (empty == 0)
        if going & (single > 0):
            # On a restricted support Λ' may have no root: it increases, so its sign at the ends tells.
            log_z, value, slope, curvature, rms, noise = _moments(
                policy, target, vocab, top_policy, top_target, log_target, shift, 0.0, BLOCK
            )
            positive = value > noise
            log_z, value, slope, curvature, rms, noise = _moments(
                policy, target, vocab, top_policy, top_target, log_target, shift, 1.0, BLOCK
            )
            negative = value < -noise
            status = tl.where(positive | negative, BOUNDARY, 0)
            alpha = tl.where(negative, 1.0, tl.where(positive, 0.0, 0.5))
            going = (positive | negative) == 0
        low = tl.full((), 0.0, tl.float32)
        high = tl.full((), 1.0, tl.float32)
        previous = tl.full((), float("inf"), tl.float32)
        while going:
            log_z, value, slope, curvature, rms, noise = _moments(
                policy, target, vocab, top_policy, top_target, log_target, shift, alpha, BLOCK
            )
            passes += 1
            high = tl.where(value > 0, alpha, high)
            low = tl.where(value < 0, alpha, low)
            proposal, finished, blurred = _move(
                alpha, low, high, previous, tol, log_z, value, slope, curvature, rms, noise
            )
            same = blurred & (passes == 1) & (rms * (1.0 / 16) <= EPS)
            status = tl.where(same, IDENTICAL, status)
            alpha = proposal
            previous = tl.abs(value)
            enough = finished.to(tl.int32)
            going = (finished == 0) & (passes < max_iter) & (value == value)
        alpha = tl.where(disjoint, fallback, alpha)
    else:
        alpha = given_alpha + alpha * 0.0
    inner = (alpha > 0.0) & (alpha < 1.0)
    status = tl.where(disjoint if SOLVE else disjoint & inner, DISJOINT, status)

    # The law at α, by blocks. Each sum of exponentials has its own running maximum: π²/q is not bounded.
    top = tl.full((), -float("inf"), tl.float32)
    top_mix = tl.full((), -float("inf"), tl.float32)
    top_second_policy = tl.full((), -float("inf"), tl.float32)
    top_second_target = tl.full((), -float("inf"), tl.float32)
    mix = tl.zeros([BLOCK], tl.float32)
    far_policy = tl.zeros([BLOCK], tl.float32)
    far_target = tl.zeros([BLOCK], tl.float32)
    second_policy = tl.zeros([BLOCK], tl.float32)
    second_target = tl.zeros([BLOCK], tl.float32)
    uncovered = tl.zeros([BLOCK], tl.float32)
    missed_policy = tl.full((), 0, tl.int32)
    missed_target = tl.full((), 0, tl.int32)
    block_index = tl.arange(0, BLOCKS)
    block_mass = tl.zeros([BLOCKS], tl.float32)
    block_top = tl.full([BLOCKS], -float("inf"), tl.float32)
    for start in range(0, vocab, BLOCK):
        p, t, ratio, common = _logprobs(policy, target, start + lanes, vocab, top_policy, top_target, log_target, shift)
        law = _exponents(p, t, ratio, common, alpha)
        if TEMPERED:
            raised = tl.maximum(top_mix, tl.max(law, 0))
            scale, terms = _rescaled(top_mix, raised, law)
            mix = mix * scale + terms
            top_mix = raised
            law = law / temperature
        raised = tl.maximum(top, tl.max(law, 0))
        scale, terms = _rescaled(top, raised, law)
        far_policy = far_policy * scale + tl.where(terms > 0, terms * (law - p), 0.0)
        far_target = far_target * scale + tl.where(terms > 0, terms * (law - t), 0.0)
        top = raised
        here = block_index == start // BLOCK
        block_mass = tl.where(here, tl.sum(terms, 0), block_mass)
        block_top = tl.where(here, raised, block_top)
        covered = law > -float("inf")
        second = tl.where(covered, 2.0 * p - law, -float("inf"))
        raised = tl.maximum(top_second_policy, tl.max(second, 0))
        scale, terms = _rescaled(top_second_policy, raised, second)
        second_policy = second_policy * scale + terms
        top_second_policy = raised
        second = tl.where(covered, 2.0 * t - law, -float("inf"))
        raised = tl.maximum(top_second_target, tl.max(second, 0))
        scale, terms = _rescaled(top_second_target, raised, second)
        second_target = second_target * scale + terms
        top_second_target = raised
        uncovered += tl.where(covered, 0.0, tl.exp(p))
        missed_policy += tl.sum(((covered == 0) & (p > -float("inf"))).to(tl.int32), 0)
        missed_target += tl.sum(((covered == 0) & (t > -float("inf"))).to(tl.int32), 0)

    # The token: a block by its mass, then a token of that block, in float64 as `inverse_cdf` does.
    masses = block_mass.to(tl.float64) * tl.exp(block_top - top).to(tl.float64)
    total = tl.sum(masses, 0).to(tl.float32)
    log_total = top + tl.log(total)
    block, rest = _first(masses, tl.load(uniforms + row), BLOCKS)
    p, t, ratio, common = _logprobs(
        policy, target, block * BLOCK + lanes, vocab, top_policy, top_target, log_target, shift
    )
    law = _exponents(p, t, ratio, common, alpha)
    if TEMPERED:
        log_z = top_mix + tl.log(tl.sum(mix, 0))
        law = law / temperature
    else:
        log_z = log_total
    place, rest = _first(tl.exp(law - top).to(tl.float64), rest, BLOCK)
    drawn = lanes == place
    tl.store(tokens + row, tl.minimum(block * BLOCK + place, vocab - 1).to(tl.int64))

    # A model whose logits are no numbers must not come out as a token like any other.
    sound = (wrong == 0) & (empty == 0)
    behavior = tl.sum(tl.where(drawn, law, 0.0), 0) - log_total
    behavior = tl.where(sound, behavior, float("nan"))
    log_second_policy = top_second_policy + tl.log(tl.sum(second_policy, 0))
    log_second_target = top_second_target + tl.log(tl.sum(second_target, 0))
    ess_policy = tl.where(missed_policy > 0, 0.0, tl.exp(-log_total - log_second_policy))
    ess_target = tl.where(missed_target > 0, 0.0, tl.exp(-log_total - log_second_target))
    kl_policy = tl.maximum(tl.sum(far_policy, 0) / total - log_total, 0.0)
    kl_target = tl.maximum(tl.sum(far_target, 0) / total - log_total, 0.0)
    out = columns_out + row
    tl.store(out, behavior)
    tl.store(out + rows, tl.sum(tl.where(drawn, p, 0.0), 0))
    tl.store(out + 2 * rows, tl.sum(tl.where(drawn, t, 0.0), 0))
    tl.store(out + 3 * rows, alpha)
    tl.store(out + 4 * rows, tl.where(inner, log_z, 0.0))
    tl.store(out + 5 * rows, ess_policy)
    tl.store(out + 6 * rows, ess_target)
    tl.store(out + 7 * rows, kl_policy)
    tl.store(out + 8 * rows, kl_target)
    tl.store(out + 9 * rows, tl.sum(uncovered, 0))
    tl.store(facts_out + row, status)
    tl.store(facts_out + rows + row, passes)
    tl.store(facts_out + 2 * rows + row, enough)
