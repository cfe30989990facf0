// Timbres as mixes of a model's instruments.

import type { Instrument } from "../engine/bundle";
import { standIn } from "./lookup";
import type { Point, Timbre } from "./timbre";

export interface Share {
  instrument: Instrument;
  share: number;
}

// Of points that were mixed, what they were mixed of: in many dimensions other mixes reach them, too.
const mixes = new WeakMap<Point, Share[]>();

/** A mix of instruments as a point; shares are divided by their sum. */
export function mixed(parts: Share[]): Point {
  const sums = new Map<Instrument, number>();
  for (const { instrument, share } of parts) {
    sums.set(instrument, (sums.get(instrument) ?? 0) + share);
  }
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  const shares = [...sums].map(([instrument, share]) => ({ instrument, share: share / total }));
  const point = shares[0].instrument.embedding.map((_, d) =>
    shares.reduce((sum, { instrument, share }) => sum + share * instrument.embedding[d], 0),
  );
  mixes.set(
    point,
    shares.sort((a, b) => b.share - a.share),
  );
  return point;
}

/** What a point was mixed of, the largest share first; null where it was not, or not of these. */
export function knownMix(point: Point, instruments: Instrument[]): Share[] | null {
  const known = mixes.get(point);
  const fits = ({ instrument, share }: Share) => share > 0 && instruments.includes(instrument);
  return known?.every(fits) ? known : null;
}

const MOST_FOR_ALL_TRIPLES = 24; // instruments; of more, only good pairs get a third one
const GOOD_PAIRS = 100;

/** Which instruments are mixed, in which shares, and how well that describes a point. */
interface Candidate {
  members: number[];
  weights: number[];
  score: number;
}

export interface Mix {
  shares: Share[];
  /** From the point that it stands for. */
  distance: number;
}

// Of points that were not mixed, what was found, and among which instruments.
const nearest = new WeakMap<Point, { among: Instrument[]; mix: Mix }>();

/**
 * The mix that a point was made of; or else the one of at most three instruments that comes nearest
 * to it. The largest share is first; fewer instruments are preferred where they come nearly as near.
 */
export function asMix(point: Point, instruments: Instrument[]): Mix {
  const known = knownMix(point, instruments);
  if (known) return { shares: known, distance: 0 };
  const before = nearest.get(point);
  if (before?.among === instruments) return before.mix;
  const mix = nearestMix(point, instruments);
  nearest.set(point, { among: instruments, mix });
  return mix;
}

function nearestMix(point: Point, instruments: Instrument[]): Mix {
  const n = instruments.length;
  const from = instruments.map(({ embedding }) => embedding.map((value, d) => value - point[d]));
  const products = from.map((a) =>
    from.map((b) => a.reduce((sum, value, d) => sum + value * b[d], 0)),
  );
  const lengths = products.map((row, i) => Math.sqrt(row[i]));
  let best: Candidate | null = null;
  const consider = (members: number[]): Candidate | null => {
    const weights = barycentric(members, products);
    if (!weights) return null;
    let squared = 0;
    let spread = 0;
    weights.forEach((weight, i) => {
      spread += weight * lengths[members[i]];
      weights.forEach((other, j) => (squared += weight * other * products[members[i]][members[j]]));
    });
    // Among mixes that reach the point, the one of instruments that lie near it describes it best.
    const score = Math.sqrt(Math.max(squared, 0)) + 0.05 * spread + 1e-3 * members.length;
    const found = { members, weights, score };
    if (!best || score < best.score) best = found;
    return found;
  };
  let pairs: Candidate[] = [];
  for (let i = 0; i < n; i++) {
    consider([i]);
    for (let j = i + 1; j < n; j++) {
      const pair = consider([i, j]);
      if (pair) pairs.push(pair);
    }
  }
  if (n > MOST_FOR_ALL_TRIPLES) {
    pairs = pairs.sort((a, b) => a.score - b.score).slice(0, GOOD_PAIRS);
    for (const { members } of pairs) {
      for (let k = 0; k < n; k++) if (!members.includes(k)) consider([...members, k]);
    }
  } else {
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) for (let k = j + 1; k < n; k++) consider([i, j, k]);
    }
  }
  const { members, weights } = best!;
  const shares = members.map((member, i) => ({
    instrument: instruments[member],
    share: weights[i],
  }));
  const there = mixed(shares);
  const distance = Math.hypot(...there.map((value, d) => value - point[d]));
  shares.sort((a, b) => b.share - a.share);
  return { shares, distance };
}

/** The same mixes of instruments in the timbre space of another model. */
export function translated(timbre: Timbre, from: Instrument[], to: Instrument[]): Timbre {
  const standsFor = ({ name, program }: Instrument) =>
    to.find((one) => one.name === name) ?? standIn(program, to);
  const points = timbre.points.map((point) =>
    mixed(
      asMix(point, from).shares.map(({ instrument, share }) => ({
        instrument: standsFor(instrument),
        share,
      })),
    ),
  );
  return { times: timbre.times, points };
}

/**
 * Positive weights of vertices whose sum is nearest to the origin; null if one is not positive.
 *
 * @param products of all vertices with each other
 */
function barycentric(members: number[], products: number[][]): number[] | null {
  const [o, ...rest] = members;
  // Of the sides from the first vertex to the others, and of the way from there to the origin.
  const sides = (i: number, j: number) =>
    products[i][j] - products[i][o] - products[o][j] + products[o][o];
  const along = (i: number) => products[o][o] - products[i][o];
  let found: number[] = [];
  if (rest.length === 1) found = [along(rest[0]) / sides(rest[0], rest[0])];
  else if (rest.length === 2) {
    const [i, j] = rest;
    const [a, b, c] = [sides(i, i), sides(i, j), sides(j, j)];
    const [p, q] = [along(i), along(j)];
    const determinant = a * c - b * b;
    if (Math.abs(determinant) < 1e-12) return null;
    found = [(p * c - q * b) / determinant, (a * q - b * p) / determinant];
  }
  const weights = [1 - found.reduce((sum, value) => sum + value, 0), ...found];
  return weights.every((value) => value > 1e-9) ? weights : null;
}
