// Where the names of dots on a map stand: beside their dots, over no other dot and no other name.

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const GAP = 11; // from a dot to its name
const BETWEEN = 3; // between names
export const DOT = 6; // a dot's radius and a little more
const SWEEPS = 8;

/** Offsets of a box's middle from its dot, the ones that read best first. */
function candidates(width: number, height: number): [number, number][] {
  const [w, h] = [width / 2, height / 2];
  const near: [number, number][] = [
    [w + GAP, 0],
    [-w - GAP, 0],
    [0, -h - GAP],
    [0, h + GAP],
  ];
  for (const rise of [1, 1.5, 2.2, 3]) {
    for (const [sideways, up] of [
      [1, -1],
      [1, 1],
      [-1, -1],
      [-1, 1],
    ]) {
      near.push([sideways * (w + GAP / 2), up * rise * height]);
    }
  }
  return near;
}

function overlap(a: Box, b: Box, margin: number): number {
  const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) + margin;
  const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) + margin;
  return wide > 0 && high > 0 ? wide * high : 0;
}

/**
 * Place a name of some size beside each dot, within a picture. Each name in turn takes the place that
 * costs least among the others, until none wants to move.
 */
export function layOut(
  dots: { x: number; y: number }[],
  sizes: { width: number; height: number }[],
  bounds: { width: number; height: number },
): Box[] {
  const points = dots.map(({ x, y }) => ({
    x: x - DOT,
    y: y - DOT,
    width: 2 * DOT,
    height: 2 * DOT,
  }));
  const choices = sizes.map(({ width, height }, i) =>
    candidates(width, height).map(([dx, dy]) => ({
      x: dots[i].x + dx - width / 2,
      y: dots[i].y + dy - height / 2,
      width,
      height,
    })),
  );
  const outside = ({ x, y, width, height }: Box) =>
    Math.max(-x, 0) +
    Math.max(-y, 0) +
    Math.max(x + width - bounds.width, 0) +
    Math.max(y + height - bounds.height, 0);
  const placed = choices.map(([first]) => first);
  const cost = (box: Box, own: number, rank: number) =>
    placed.reduce((sum, other, i) => sum + (i === own ? 0 : overlap(box, other, BETWEEN)), 0) +
    points.reduce((sum, dot, i) => sum + (i === own ? 0 : 2 * overlap(box, dot, 0)), 0) +
    50 * outside(box) +
    4 * rank;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let moved = false;
    placed.forEach((before, i) => {
      let [best, least] = [before, cost(before, i, choices[i].indexOf(before))];
      choices[i].forEach((box, rank) => {
        const here = cost(box, i, rank);
        if (here < least) [best, least] = [box, here];
      });
      moved ||= best !== before;
      placed[i] = best;
    });
    if (!moved) break;
  }
  return placed;
}
