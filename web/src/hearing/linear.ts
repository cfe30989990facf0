// Small matrices that are symmetric and positive, as covariances are; means and medians.

export type Matrix = number[][];

/** The lower Cholesky factor. */
export function cholesky(matrix: Matrix): Matrix {
  const n = matrix.length;
  const factor: Matrix = matrix.map(() => new Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j];
      for (let k = 0; k < j; k++) sum -= factor[i][k] * factor[j][k];
      factor[i][j] = i === j ? Math.sqrt(Math.max(sum, Number.MIN_VALUE)) : sum / factor[j][j];
    }
  }
  return factor;
}

/** What a matrix makes of a vector. */
export function times(matrix: Matrix, vector: readonly number[]): number[] {
  return matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));
}

export function inverse(matrix: Matrix): Matrix {
  const n = matrix.length;
  const factor = cholesky(matrix);
  const columns = matrix.map((_, column) => {
    const found = new Array<number>(n).fill(0);
    for (let i = 0; i < n; i++) {
      let sum = i === column ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= factor[i][k] * found[k];
      found[i] = sum / factor[i][i];
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = found[i];
      for (let k = i + 1; k < n; k++) sum -= factor[k][i] * found[k];
      found[i] = sum / factor[i][i];
    }
    return found;
  });
  return columns; // symmetric: its columns are its rows
}

/** The geometric mean of the standard deviations along a covariance's axes. */
export function deviationOf(covariance: Matrix): number {
  const factor = cholesky(covariance);
  const logs = factor.reduce((sum, row, i) => sum + Math.log(row[i]), 0);
  return Math.exp(logs / factor.length);
}

/** Each element of some matrices together. */
export function elementwise(
  combine: (...values: number[]) => number,
  ...matrices: Matrix[]
): Matrix {
  return matrices[0].map((row, i) => row.map((_, j) => combine(...matrices.map((m) => m[i][j]))));
}

/** The covariance of points around their mean: their products' sum over `freedom`. */
export function spreadOf(points: number[][], weights: readonly number[], mean: number[]): Matrix {
  return mean.map((_, j) =>
    mean.map((__, k) =>
      points.reduce(
        (sum, point, i) => sum + weights[i] * (point[j] - mean[j]) * (point[k] - mean[k]),
        0,
      ),
    ),
  );
}

/** The middle one of some values, or the mean of both; at least one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function weightedMean(points: number[][], weights: readonly number[]): number[] {
  return points[0].map((_, d) => points.reduce((sum, point, i) => sum + weights[i] * point[d], 0));
}
