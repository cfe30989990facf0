// Timbres: points of a model's space that can be mixed, moved and written down, in the grammar of
// src/timbrel/timbre/timbre.py.

import constants from "../constants.json";
import { isKit, type Instrument } from "../engine/bundle";
import { nearestKit } from "../score/abilities";
import type { Track } from "../score/score";

export type Point = number[];

/** A way through the timbre space; one that stays the same has one breakpoint. */
export interface Timbre {
  times: number[];
  points: Point[];
}

export function constantTimbre(point: Point): Timbre {
  return { times: [0], points: [point] };
}

/** The point at a time; before the first breakpoint and after the last one the timbre stays there. */
export function timbreAt({ times, points }: Timbre, time: number): Point {
  let next = 0;
  while (next < times.length && times[next] <= time) next++;
  if (next === 0) return points[0];
  if (next === times.length) return points[next - 1];
  const share = (time - times[next - 1]) / (times[next] - times[next - 1]);
  return points[next - 1].map((value, i) => value + share * (points[next][i] - value));
}

/** The same path without the breakpoints that lie on straight lines between their neighbours. */
export function simplified({ times, points }: Timbre, tolerance = 1e-4): Timbre {
  const kept = [0];
  let i = 0;
  while (i < times.length - 1) {
    let reach = i + 1;
    while (reach + 1 < times.length) {
      const line = { times: [times[i], times[reach + 1]], points: [points[i], points[reach + 1]] };
      const straight = times.slice(i + 1, reach + 1).every((time, k) => {
        const there = timbreAt(line, time);
        return points[i + 1 + k].every((value, d) => Math.abs(value - there[d]) <= tolerance);
      });
      if (!straight) break;
      reach++;
    }
    kept.push(reach);
    i = reach;
  }
  return { times: kept.map((k) => times[k]), points: kept.map((k) => points[k]) };
}

/** A path with at most so many breakpoints, as near to the given one as they allow. */
export function thinned(timbre: Timbre, tolerance: number, most: number): Timbre {
  for (let allowed = Math.max(tolerance, 1e-4); ; allowed *= 1.5) {
    const found = simplified(timbre, allowed);
    if (found.times.length <= Math.max(most, 2)) return found;
  }
}

/** What a hand drew, as a path on the grid of frames; of several places in a frame the last counts. */
export function drawn(stroke: { time: number; point: Point }[], frameRate: number): Timbre {
  const frames = new Map<number, Point>();
  for (const { time, point } of stroke) {
    frames.set(Math.round(time * frameRate), point);
  }
  const inOrder = [...frames].sort(([a], [b]) => a - b);
  return {
    times: inOrder.map(([frame]) => frame / frameRate),
    points: inOrder.map(([, point]) => point),
  };
}

/** A path played again and again, as `timbrel render` takes it: written out up to `end` seconds. */
export function repeated(timbre: Timbre, period: number, end: number): Timbre {
  const times: number[] = [];
  const points: Point[] = [];
  for (let start = 0; start < end; start += period) {
    timbre.times.forEach((time, i) => {
      if (time >= period) return;
      times.push(start + time);
      points.push(timbre.points[i]);
    });
    if (timbre.times.length > 1) {
      times.push(start + period - 1e-3);
      points.push(timbreAt(timbre, period));
    }
  }
  return { times, points };
}

export interface Share {
  instrument: Instrument;
  share: number;
}

/** A mix of instruments as a point; shares are divided by their sum. */
export function mixed(shares: Share[]): Point {
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  return shares[0].instrument.embedding.map(
    (_, d) =>
      shares.reduce((sum, { instrument, share }) => sum + share * instrument.embedding[d], 0) /
      total,
  );
}

/**
 * The mix of at most three instruments that comes nearest to a point, the largest share first. Fewer
 * instruments are preferred where they come nearly as near.
 */
export function asMix(
  point: Point,
  instruments: Instrument[],
): { shares: Share[]; distance: number } {
  let best: { shares: Share[]; distance: number } | null = null;
  let score = Infinity;
  const consider = (members: Instrument[]) => {
    const weights = barycentric(
      point,
      members.map(({ embedding }) => embedding),
    );
    if (!weights) return;
    const shares = members.map((instrument, i) => ({ instrument, share: weights[i] }));
    const there = mixed(shares);
    const distance = Math.hypot(...there.map((value, d) => value - point[d]));
    const spread = members.reduce(
      (sum, { embedding }, i) =>
        sum + weights[i] * Math.hypot(...embedding.map((v, d) => v - point[d])),
      0,
    );
    // Among mixes that reach the point, the one of instruments that lie near it describes it best.
    const candidate = distance + 0.05 * spread + 1e-3 * members.length;
    if (candidate < score) {
      score = candidate;
      best = { shares, distance };
    }
  };
  for (let i = 0; i < instruments.length; i++) {
    consider([instruments[i]]);
    for (let j = i + 1; j < instruments.length; j++) {
      consider([instruments[i], instruments[j]]);
      for (let k = j + 1; k < instruments.length; k++) {
        consider([instruments[i], instruments[j], instruments[k]]);
      }
    }
  }
  const { shares, distance } = best!;
  shares.sort((a: Share, b: Share) => b.share - a.share);
  return { shares, distance };
}

/** The same mixes of instruments in the timbre space of another model. */
export function translated(timbre: Timbre, from: Instrument[], to: Instrument[]): Timbre {
  const named = (name: string) => to.find((one) => one.name === name) ?? to[0];
  const points = timbre.points.map((point) =>
    mixed(
      asMix(point, from).shares.map(({ instrument: { name }, share }) => ({
        instrument: named(name),
        share,
      })),
    ),
  );
  return { times: timbre.times, points };
}

/** Positive weights of vertices whose sum is nearest to a point of their flat; null if one is not. */
function barycentric(point: Point, vertices: Point[]): number[] | null {
  const [origin, ...rest] = vertices;
  const sides = rest.map((vertex) => vertex.map((value, d) => value - origin[d]));
  const target = point.map((value, d) => value - origin[d]);
  const dot = (a: Point, b: Point) => a.reduce((sum, value, d) => sum + value * b[d], 0);
  let found: number[];
  if (sides.length === 0) found = [];
  else if (sides.length === 1) found = [dot(target, sides[0]) / dot(sides[0], sides[0])];
  else {
    const [a, b, c] = [dot(sides[0], sides[0]), dot(sides[0], sides[1]), dot(sides[1], sides[1])];
    const [p, q] = [dot(target, sides[0]), dot(target, sides[1])];
    const determinant = a * c - b * b;
    if (Math.abs(determinant) < 1e-12) return null;
    found = [(p * c - q * b) / determinant, (a * q - b * p) / determinant];
  }
  const weights = [1 - found.reduce((sum, value) => sum + value, 0), ...found];
  return weights.every((value) => value > 1e-9) ? weights : null;
}

/** Parse what a user or a link says: a name, a mix, coordinates, or a path of these. */
export function parseTimbre(text: string, instruments: Instrument[]): Timbre {
  const parts = text.split(";");
  const timed = parts.map((part) => /^\s*([0-9.eE+-]+)\s*s\s+(.*)$/s.exec(part));
  if (parts.length === 1 && !timed[0]) return constantTimbre(parsePoint(text, instruments));
  const times: number[] = [];
  const points: Point[] = [];
  for (const match of timed) {
    if (!match) throw new Error(`timbre “${text}”: each part of a path starts with its time`);
    times.push(toNumber(match[1]));
    points.push(parsePoint(match[2], instruments));
  }
  return checked({ times, points });
}

function checked(timbre: Timbre): Timbre {
  if (!timbre.times.length) throw new Error("the path has no breakpoints");
  if (timbre.times.some((time, i) => i > 0 && time <= timbre.times[i - 1])) {
    throw new Error("the times of a path must rise");
  }
  return timbre;
}

function parsePoint(text: string, instruments: Instrument[]): Point {
  const trimmed = text.trim();
  const size = instruments[0].embedding.length;
  if (trimmed.startsWith("@")) {
    const point = trimmed.slice(1).split(",").map(toNumber);
    if (point.length !== size) {
      throw new Error(`timbre “${trimmed}” has ${point.length} coordinates; the model has ${size}`);
    }
    return point;
  }
  const shares = trimmed.split(",").map((part) => {
    const [name, weight] = part.split(":");
    const wanted = name.trim().toLowerCase().replace(/\s+/g, " ");
    const instrument = instruments.find((one) => one.name.toLowerCase() === wanted);
    if (!instrument) throw new Error(`there is no instrument “${wanted}”`);
    return { instrument, share: weight === undefined ? 1 : toNumber(weight) };
  });
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  if (!(total > 0 && total < Infinity)) {
    throw new Error(`timbre “${trimmed}”: the weights of a mix must add up to more than 0`);
  }
  return mixed(shares);
}

function toNumber(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new Error(`“${text.trim()}” is not a number`);
  return value;
}

/** A timbre as `timbrel render --timbre` takes it: an instrument's name where it is one. */
export function timbreSpec(timbre: Timbre, instruments: Instrument[]): string {
  const points = timbre.points.map((point) => pointSpec(point, instruments));
  if (points.length === 1) return points[0];
  return points.map((spec, i) => `${Number(timbre.times[i].toFixed(4))}s ${spec}`).join("; ");
}

function pointSpec(point: Point, instruments: Instrument[]): string {
  const same = instruments.find(({ embedding }) =>
    embedding.every((value, d) => Math.abs(value - point[d]) < 1e-6),
  );
  return same?.name ?? "@" + point.map((value) => Number(value.toFixed(5))).join(",");
}

/** The content of a .timbre file. */
export function timbreFile({ times, points }: Timbre): string {
  const path = times.map((time, i) => ({ time_s: time, timbre: "@" + points[i].join(",") }));
  return JSON.stringify({ timbrel_timbre: constants.timbreFileFormat, path }, null, 2) + "\n";
}

export function parseTimbreFile(text: string, instruments: Instrument[]): Timbre {
  let content: { timbrel_timbre?: unknown; path?: { time_s: number; timbre: string }[] };
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("is not a timbre file");
  }
  if (content?.timbrel_timbre !== constants.timbreFileFormat || !Array.isArray(content.path)) {
    throw new Error(`is not a timbre file of format ${constants.timbreFileFormat}`);
  }
  return checked({
    times: content.path.map(({ time_s }) => toNumber(String(time_s))),
    points: content.path.map(({ timbre }) => parsePoint(String(timbre), instruments)),
  });
}

/** A model's instruments that may play a track: kits for drums, or the others. */
export function instrumentsFor({ isKit: drums }: Track, instruments: Instrument[]): Instrument[] {
  return instruments.filter((one) => isKit(one) === drums);
}

/** The instrument, or kit, that stands for a track's program, as timbre/assignment.py chooses. */
export function nearestInstrument(track: Track, instruments: Instrument[]): Instrument {
  const alike = instrumentsFor(track, instruments);
  if (!track.isKit) return nearestProgram(track.program, alike);
  const kit = nearestKit(
    track.program,
    alike.map(({ program }) => program),
  );
  return alike.find(({ program }) => program === kit)!;
}

/** The instrument whose sound is nearest to a MIDI program's, as score/instruments.py chooses. */
export function nearestProgram(program: number, instruments: Instrument[]): Instrument {
  const distances = constants.programDistances[program].split(",").map(Number);
  return instruments.reduce((nearest, other) => {
    const farther = distances[other.program] - distances[nearest.program];
    return (farther || other.program - nearest.program) < 0 ? other : nearest;
  });
}
