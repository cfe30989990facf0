// What several windows of a sound say together of its timbre, as src/timbrel/hearing/combining.py
// combines it.

import { elementwise, inverse, spreadOf, times, weightedMean, type Matrix } from "./linear";

/** A distribution over a timbre space. */
export interface Gaussian {
  mean: number[];
  covariance: Matrix;
}

/** What was found on the validation split, so that a stated doubt is the true one. */
export interface Calibration {
  temperature: number;
  spread: number;
  shared: number;
  sharpness: number;
}

/** The product of some Gaussians that have a share of their variance in common. */
export function combined(parts: Gaussian[], weights: readonly number[], shared: number): Gaussian {
  const weight = weights.reduce((a, b) => a + b, 0);
  const precisions = parts.map(({ covariance }, i) =>
    elementwise((value) => weights[i] * value, inverse(covariance)),
  );
  const total = elementwise((...values) => values.reduce((a, b) => a + b, 0), ...precisions);
  const alone = inverse(total);
  const pulls = precisions.map((precision, i) => times(precision, parts[i].mean));
  const pull = pulls[0].map((_, d) => pulls.reduce((sum, one) => sum + one[d], 0));
  // As sure as all of them if their errors were independent; as one of them if they were the same.
  const share = weight > 1 ? shared : 1;
  const covariance = elementwise((value) => (1 - share + share * weight) * value, alone);
  return { mean: times(alone, pull), covariance };
}

/** Log-probabilities of classes from those of windows, (windows, classes). */
export function combinedLogs(
  logs: number[][],
  weights: readonly number[],
  shared: number,
): number[] {
  const total = weights.reduce((a, b) => a + b, 0);
  const nWindows = Math.max(total, 1e-9);
  const effective = nWindows > 1 ? 1 / (shared + (1 - shared) / nWindows) : 1;
  return logSoftmax(weightedMean(logs, weights).map((sum) => (effective * sum) / nWindows));
}

/**
 * The covariance and the log-probabilities of a window, from what the network says.
 *
 * @param factor the covariance's Cholesky factor
 * @param points of the instruments, in the coordinates of the factor
 */
export function calibrated(
  factor: Matrix,
  logits: number[],
  points: number[][],
  how: Calibration,
): { covariance: Matrix; logs: number[] } {
  const logs = logSoftmax(logits.map((value) => how.sharpness * value));
  const likely = logSoftmax(logits.slice(0, -1)).map(Math.exp);
  const spread = spreadOf(points, likely, weightedMean(points, likely));
  const covariance = factor.map((row, i) =>
    factor.map((other, j) => {
      const product = row.reduce((sum, value, k) => sum + value * other[k], 0);
      return how.temperature * product + how.spread * spread[i][j];
    }),
  );
  return { covariance, logs };
}

export function logSoftmax(values: number[]): number[] {
  const most = Math.max(...values);
  const sum = values.reduce((total, value) => total + Math.exp(value - most), 0);
  return values.map((value) => value - most - Math.log(sum));
}
