// A distribution over a timbre space as a cloud of points drawn from it, the same each time.

import { scattered, unitInterval } from "../engine/chance";
import type { Gaussian } from "./combining";
import { cholesky, times } from "./linear";

export function cloudOf({ mean, covariance }: Gaussian, count: number): number[][] {
  const factor = cholesky(covariance);
  return Array.from({ length: count }, (_, i) => {
    const away = times(
      factor,
      mean.map((__, d) => normal(i * mean.length + d)),
    );
    return mean.map((value, d) => value + away[d]);
  });
}

/** A normal deviate for a number (Box and Muller 1958). */
function normal(number: number): number {
  const [first, second] = [2 * number, 2 * number + 1].map((n) => unitInterval(scattered(n + 1)));
  return Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
}
