// Timbres: ways through the points of a model's space.

/** Coordinates, and behind them FiLM vectors of the timbre's own where it has them (mel/film.py). */
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
  return between(points[next - 1], points[next], share);
}

/** A point between two; one without FiLM vectors of its own adds none. */
function between(from: Point, to: Point, share: number): Point {
  const longer = from.length > to.length ? from : to;
  return longer.map((_, i) => {
    const value = from[i] ?? 0;
    return value + share * ((to[i] ?? 0) - value);
  });
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
        return there.every(
          (value, d) => Math.abs((points[i + 1 + k][d] ?? 0) - value) <= tolerance,
        );
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
