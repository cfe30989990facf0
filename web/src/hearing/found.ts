// The timbre of a sound, as src/timbrel/hearing/from_audio.py finds it in what was heard.

import constants from "../constants.json";
import { combined, combinedLogs } from "./combining";
import type { HeardWindow } from "./encoder";
import { deviationOf, median, spreadOf, weightedMean, type Matrix } from "./linear";

const { audibleDb } = constants.hearing;
const LEAST_WEIGHT = 1e-3;
const TINY_VARIANCE = 1e-9;

export interface FoundTimbre {
  point: number[];
  covariance: Matrix;
  /** How likely each of the model's instruments is, in their order. */
  probabilities: number[];
  /** How likely it is that it is none at all. */
  nothing: number;
  /** 0: it may be anywhere among the instruments; 1: just there. */
  sureness: number;
  /** From the nearest instrument. */
  distance: number;
  /** The median distance of the instruments from their nearest neighbours. */
  neighbours: number;
}

/** @param points of the instruments */
export function foundTimbre(
  windows: HeardWindow[],
  points: number[][],
  shared: number,
): FoundTimbre {
  const loudest = Math.max(...windows.map(({ levelDb }) => levelDb));
  const audible = windows.map(({ levelDb }) => Number(levelDb > loudest - audibleDb));
  const weights = windows.map(
    ({ logs }, i) => audible[i] * Math.max(1 - Math.exp(logs.at(-1)!), LEAST_WEIGHT),
  );
  const { mean: point, covariance } = combined(windows, weights, shared);
  const logs = combinedLogs(
    windows.map((window) => window.logs),
    audible,
    shared,
  );
  const probabilities = logs.map(Math.exp);
  const nothing = probabilities.pop()!;
  const sureness = (1 - nothing) * (1 - deviationOf(covariance) / deviationOf(priorOf(points)));
  return {
    point,
    covariance,
    probabilities,
    nothing,
    sureness: Math.min(Math.max(sureness, 0), 1),
    distance: Math.min(...points.map((other) => distance(point, other))),
    neighbours: neighbourDistance(points),
  };
}

/** The covariance of the instruments themselves. */
function priorOf(points: number[][]): Matrix {
  const mean = weightedMean(
    points,
    points.map(() => 1 / points.length),
  );
  const spread = spreadOf(
    points,
    points.map(() => 1 / (points.length - 1)),
    mean,
  );
  return spread.map((row, i) => row.map((value, j) => value + (i === j ? TINY_VARIANCE : 0)));
}

function neighbourDistance(points: number[][]): number {
  return median(
    points.map((point, i) =>
      Math.min(...points.filter((_, j) => j !== i).map((other) => distance(point, other))),
    ),
  );
}

function distance(a: number[], b: number[]): number {
  return Math.hypot(...a.map((value, d) => value - b[d]));
}
