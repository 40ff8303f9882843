"""Expectation-maximisation for Gaussian mixtures with full covariances, batched over chains.

The algorithm is that of scikit-learn's ``GaussianMixture(n_init=1)``, which the released notebook calls: k-means
(k-means++ with greedy local trials, then Lloyd), one M-step from its hard labels, then EM until the mean
log-likelihood changes by less than `tol`. Given the same start it gives the same parameters (a test holds both to
1e-6). From scratch the two draw different seeds for k-means, so they agree in distribution.

Points lie as (chains, d, n), so that inner loops run along points and the compiler can use vector instructions; they
are taken in tiles that stay in the first cache. The exponential is our own, since the library's is called once per
point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["Mixtures", "fit", "sample"]

TILE, LANES = 512, 32
TINY = 10 * np.finfo(np.float64).eps  # scikit-learn adds it to every component's weight
LLOYD_ITERATIONS, LLOYD_TOL = 300, 1e-4
LOG_2PI = math.log(2 * math.pi)
LOG2E = 1 / math.log(2)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
OPTIONS = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "cache": True, "nogil": True, "error_model": "numpy"}


@intrinsic
def _as_double(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@numba.njit(inline="always", **OPTIONS)
def _exp(x):
    """exp(x) for -700 <= x <= 0, to the last digits: a power of two times a polynomial on [-ln 2 / 2, ln 2 / 2]."""
    x = max(x, -700.0)
    n = math.floor(x * LOG2E + 0.5)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _as_double((np.int64(n) + 1023) << 52)


@numba.njit(**OPTIONS)
def _precision(cov, prec):
    """Inverse of a covariance (d, d) into `prec`; returns the log determinant of the inverse's root.

    What cannot be inverted gives NaN or infinity.
    """
    d = cov.shape[0]
    root, inverse = np.zeros((d, d)), np.zeros((d, d))
    log_det = 0.0
    for a in range(d):
        for b in range(a + 1):
            s = cov[a, b]
            for c in range(b):
                s -= root[a, c] * root[b, c]
            root[a, b] = s / root[b, b] if b < a else math.sqrt(s) if s > 0.0 else math.nan
        log_det -= math.log(root[a, a])
        for b in range(a + 1):
            s = 1.0 if a == b else 0.0
            for c in range(b, a):
                s -= root[a, c] * inverse[c, b]
            inverse[a, b] = s / root[a, a]
    for a in range(d):
        for b in range(d):
            s = 0.0
            for c in range(max(a, b), d):
                s += inverse[c, a] * inverse[c, b]
            prec[a, b] = s
    return log_det


@numba.njit(**OPTIONS)
def _log_product(norm, m):
    """Sum of the logs of ``norm[:m]``, numbers from 1 to k: a logarithm of a product for every `LANES`-th of them."""
    norm[m:] = 1.0
    products = np.ones(LANES)
    for begin in range(0, TILE, LANES):
        for lane in range(LANES):
            products[lane] *= norm[begin + lane]
    total = 0.0
    for lane in range(LANES):
        total += math.log(products[lane])
    return total


@numba.njit(**OPTIONS)
def _e_and_sums_of_two(x, weights, means, covs, s0, s1, s2):
    """`_e_and_sums` for two components in the plane: one pass, one exponential a point, three times as fast."""
    n = x.shape[1]
    precs = np.empty((2, 2, 2))
    constants = np.empty(2)
    for c in range(2):
        constants[c] = _precision(covs[c], precs[c]) - LOG_2PI + math.log(weights[c])
    if not (abs(constants[0]) < np.inf and abs(constants[1]) < np.inf):  # isfinite is x - x, which gets optimised away
        return math.nan
    ax, ay, bx, by = means[0, 0], means[0, 1], means[1, 0], means[1, 1]
    a, axx, axy, ayy = constants[0], -0.5 * precs[0, 0, 0], -precs[0, 1, 0], -0.5 * precs[0, 1, 1]
    b, bxx, bxy, byy = constants[1], -0.5 * precs[1, 0, 0], -precs[1, 1, 0], -0.5 * precs[1, 1, 1]
    norm = np.empty(TILE)
    likelihood = 0.0
    a_0, a_x, a_y, a_xx, a_xy, a_yy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    b_0, b_x, b_y, b_xx, b_xy, b_yy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for begin in range(0, n, TILE):
        m = min(TILE, n - begin)
        xs, ys = x[0, begin : begin + m], x[1, begin : begin + m]
        for i in range(m):
            ux, uy = xs[i] - ax, ys[i] - ay
            vx, vy = xs[i] - bx, ys[i] - by
            p = a + axx * ux * ux + axy * ux * uy + ayy * uy * uy
            q = b + bxx * vx * vx + bxy * vx * vy + byy * vy * vy
            top = max(p, q)
            ratio = _exp(min(p, q) - top)
            norm[i] = 1.0 + ratio
            likelihood += top
            large = 1.0 / norm[i]
            small = ratio * large
            of_a = large if p >= q else small
            of_b = small if p >= q else large
            a_0 += of_a
            a_x += of_a * ux
            a_y += of_a * uy
            a_xx += of_a * ux * ux
            a_xy += of_a * ux * uy
            a_yy += of_a * uy * uy
            b_0 += of_b
            b_x += of_b * vx
            b_y += of_b * vy
            b_xx += of_b * vx * vx
            b_xy += of_b * vx * vy
            b_yy += of_b * vy * vy
        likelihood += _log_product(norm, m)
    s0[0], s1[0, 0], s1[0, 1] = a_0, a_x, a_y
    s0[1], s1[1, 0], s1[1, 1] = b_0, b_x, b_y
    s2[0, 0, 0], s2[0, 1, 0], s2[0, 1, 1] = a_xx, a_xy, a_yy
    s2[1, 0, 0], s2[1, 1, 0], s2[1, 1, 1] = b_xx, b_xy, b_yy
    return likelihood / n


@numba.njit(**OPTIONS)
def _e_and_sums(x, weights, means, covs, s0, s1, s2):
    """One E-step: sums of responsibilities times 1, u, u u^T with u = x - old mean; returns the mean log-likelihood."""
    d, n = x.shape
    k = weights.shape[0]
    precs = np.empty((k, d, d))
    constants = np.empty(k)
    for c in range(k):
        constants[c] = _precision(covs[c], precs[c]) - 0.5 * d * LOG_2PI + math.log(weights[c])
    s0[:] = 0.0
    s1[:] = 0.0
    s2[:] = 0.0
    q = np.empty((k, TILE))
    u = np.empty((k, d, TILE))
    top = np.empty(TILE)
    norm = np.empty(TILE)
    likelihood = 0.0
    for begin in range(0, n, TILE):
        m = min(TILE, n - begin)
        tile = x[:, begin : begin + m]
        for c in range(k):
            for a in range(d):
                for i in range(m):
                    u[c, a, i] = tile[a, i] - means[c, a]
            for i in range(m):
                q[c, i] = constants[c]
            for a in range(d):
                for b in range(a + 1):
                    factor = -0.5 * precs[c, a, b] if a == b else -precs[c, a, b]
                    for i in range(m):
                        q[c, i] += factor * u[c, a, i] * u[c, b, i]
        for i in range(m):
            top[i] = q[0, i]
        for c in range(1, k):
            for i in range(m):
                top[i] = max(top[i], q[c, i])
        for i in range(m):
            norm[i] = 0.0
        for c in range(k):
            for i in range(m):
                q[c, i] = _exp(q[c, i] - top[i])
            for i in range(m):
                norm[i] += q[c, i]
        part = 0.0
        for i in range(m):
            part += top[i]
        likelihood += part
        likelihood += _log_product(norm, m)
        for i in range(m):
            norm[i] = 1.0 / norm[i]
        for c in range(k):
            total = 0.0
            for i in range(m):
                q[c, i] *= norm[i]
                total += q[c, i]
            s0[c] += total
            for a in range(d):
                total = 0.0
                for i in range(m):
                    total += q[c, i] * u[c, a, i]
                s1[c, a] += total
                for b in range(a + 1):
                    total = 0.0
                    for i in range(m):
                        total += q[c, i] * u[c, a, i] * u[c, b, i]
                    s2[c, a, b] += total
    return likelihood / n


@numba.njit(**OPTIONS)
def _m(n, weights, means, covs, s0, s1, s2, reg):
    """The M-step from the sums; means move by delta, second moments are taken about the new means."""
    k, d = means.shape
    total = 0.0
    for c in range(k):
        nk = s0[c] + TINY
        weights[c] = nk / n
        total += weights[c]
        delta = np.empty(d)
        for a in range(d):
            new = (s0[c] * means[c, a] + s1[c, a]) / nk
            delta[a] = new - means[c, a]
            means[c, a] = new
        for a in range(d):
            for b in range(a + 1):
                second = s2[c, a, b] - delta[a] * s1[c, b] - delta[b] * s1[c, a] + s0[c] * delta[a] * delta[b]
                covs[c, a, b] = second / nk
                covs[c, b, a] = covs[c, a, b]
            covs[c, a, a] += reg
    for c in range(k):
        weights[c] /= total


@numba.njit(**OPTIONS)
def _em(x, weights, means, covs, tol, max_iter, reg):
    """EM of one chain from given parameters, in place; returns the number of iterations.

    0 where a covariance could not be inverted.
    """
    k, d = means.shape
    s0, s1, s2 = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    before = -np.inf
    for iteration in range(1, max_iter + 1):
        if k == 2 and d == 2:
            bound = _e_and_sums_of_two(x, weights, means, covs, s0, s1, s2)
        else:
            bound = _e_and_sums(x, weights, means, covs, s0, s1, s2)
        if not abs(bound) < np.inf:
            return 0
        _m(x.shape[1], weights, means, covs, s0, s1, s2, reg)
        if abs(bound - before) < tol:
            return iteration
        before = bound
    return max_iter


@numba.njit(**OPTIONS)
def _squared(x, centre, out):
    d, n = x.shape
    for i in range(n):
        out[i] = 0.0
    for a in range(d):
        for i in range(n):
            out[i] += (x[a, i] - centre[a]) ** 2


@numba.njit(**OPTIONS)
def _kmeans(x, uniforms, labels, centres):
    """k-means of one chain: greedy k-means++ from the given uniforms, then Lloyd; fills `labels` and `centres`."""
    d, n = x.shape
    k = centres.shape[0]
    trials = 2 + int(math.log(k))
    nearest, distance, best = np.empty(n), np.empty(n), np.empty(n)
    at = min(int(uniforms[0] * n), n - 1)
    for a in range(d):
        centres[0, a] = x[a, at]
    _squared(x, centres[0], nearest)
    total = nearest.sum()
    used = 1
    point = np.empty(d)
    for c in range(1, k):
        best_total, chosen = np.inf, 0
        for _ in range(trials):
            target, run, at = uniforms[used] * total, 0.0, n - 1
            used += 1
            for i in range(n):
                run += nearest[i]
                if run >= target:
                    at = i
                    break
            for a in range(d):
                point[a] = x[a, at]
            _squared(x, point, distance)
            trial_total = 0.0
            for i in range(n):
                distance[i] = min(distance[i], nearest[i])
                trial_total += distance[i]
            if trial_total < best_total:
                best_total, chosen = trial_total, at
                best[:] = distance
        for a in range(d):
            centres[c, a] = x[a, chosen]
        nearest[:] = best
        total = best_total
    spread = 0.0
    for a in range(d):
        spread += x[a].var()
    stop = LLOYD_TOL * spread / d
    sums, counts = np.empty((k, d)), np.empty(k)
    labels[:] = -1
    for _ in range(LLOYD_ITERATIONS):
        _squared(x, centres[0], nearest)
        best[:] = 0.0
        for c in range(1, k):
            _squared(x, centres[c], distance)
            for i in range(n):
                if distance[i] < nearest[i]:
                    nearest[i] = distance[i]
                    best[i] = c
        moved = 0
        for i in range(n):
            moved += labels[i] != best[i]
            labels[i] = int(best[i])
        shift = 0.0
        for c in range(k):
            count = 0.0
            for i in range(n):
                count += labels[i] == c
            counts[c] = count
            for a in range(d):
                total = 0.0
                for i in range(n):
                    total += x[a, i] if labels[i] == c else 0.0
                sums[c, a] = total
            if count > 0:
                for a in range(d):
                    shift += (sums[c, a] / count - centres[c, a]) ** 2
                    centres[c, a] = sums[c, a] / count
        if moved == 0 or shift <= stop:
            break


@numba.njit(**OPTIONS)
def _from_labels(x, labels, weights, means, covs, reg):
    """The M-step from hard labels."""
    d, n = x.shape
    k = means.shape[0]
    s0, s1, s2 = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    for c in range(k):
        for a in range(d):
            means[c, a] = x[a].mean()
    for i in range(n):
        c = labels[i]
        s0[c] += 1
        for a in range(d):
            u = x[a, i] - means[c, a]
            s1[c, a] += u
            for b in range(a + 1):
                s2[c, a, b] += u * (x[b, i] - means[c, b])
    _m(n, weights, means, covs, s0, s1, s2, reg)


@numba.njit(parallel=True, fastmath=OPTIONS["fastmath"], cache=True, error_model="numpy")
def _fit_all(x, uniforms, weights, means, covs, iterations, tol, max_iter, reg):
    for chain in numba.prange(x.shape[0]):
        if uniforms.shape[1] > 0:
            labels = np.empty(x.shape[2], dtype=np.int64)
            centres = np.empty(means[chain].shape)
            _kmeans(x[chain], uniforms[chain], labels, centres)
            _from_labels(x[chain], labels, weights[chain], means[chain], covs[chain], reg)
        iterations[chain] = _em(x[chain], weights[chain], means[chain], covs[chain], tol, max_iter, reg)


@numba.njit(parallel=True, fastmath=OPTIONS["fastmath"], cache=True, error_model="numpy")
def _place_all(z, ends, means, roots, x):
    for chain in numba.prange(z.shape[0]):
        begin = 0
        for c in range(means.shape[1]):
            for i in range(begin, ends[chain, c]):
                for a in range(z.shape[2]):
                    value = means[chain, c, a]
                    for b in range(a + 1):
                        value += roots[chain, c, a, b] * z[chain, i, b]
                    x[chain, i, a] = value
            begin = ends[chain, c]


@dataclass(frozen=True)
class Mixtures:
    """One Gaussian mixture a chain.

    Attributes
    ----------
    weights : numpy.ndarray, shape (chains, components)
    means : numpy.ndarray, shape (chains, components, d)
    covariances : numpy.ndarray, shape (chains, components, d, d)
    iterations : numpy.ndarray of int, shape (chains,), or None
        EM iterations behind a fit: `max_iter` where it did not converge, 0 where a covariance could not be inverted.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    iterations: np.ndarray | None = None


def fit(
    x: np.ndarray,
    components: int,
    rng: np.random.Generator,
    *,
    start: Mixtures | None = None,
    tol: float = 1e-5,
    max_iter: int = 2000,
    reg_covar: float = 1e-6,
) -> Mixtures:
    """Fit a mixture to the points of every chain, from scratch (k-means) or from given parameters.

    Parameters
    ----------
    x : numpy.ndarray, shape (chains, n, d)
    start : Mixtures, optional
        Where EM begins; without it, k-means draws its seeds from `rng`.
    """
    chains, n, d = x.shape
    across = np.ascontiguousarray(x.transpose(0, 2, 1))
    if start is None:
        uniforms = rng.random((chains, 1 + (components - 1) * (2 + int(math.log(components)))))
        shape = (chains, components)
        parameters = np.empty(shape), np.empty((*shape, d)), np.empty((*shape, d, d))
    else:
        uniforms = np.empty((chains, 0))
        parameters = start.weights.copy(), start.means.copy(), start.covariances.copy()
    iterations = np.empty(chains, dtype=np.int64)
    _fit_all(across, uniforms, *parameters, iterations, tol, max_iter, reg_covar)
    return Mixtures(*parameters, iterations)


def sample(model: Mixtures, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` points of every chain's mixture, component by component, shape (chains, n, d)."""
    chains, _, d = model.means.shape
    z = rng.standard_normal((chains, n, d))
    ends = np.cumsum(rng.multinomial(n, model.weights), axis=1)
    x = np.empty_like(z)
    _place_all(z, ends, model.means, np.linalg.cholesky(model.covariances), x)
    return x
