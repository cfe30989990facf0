// Computes a whole piece as fast as it can, with turns for what is played.

import type { Playing, Step } from "./source";
import type { Stream } from "./stream";

const TOLD_MS = 100;

export interface Taker {
  /** Each step in turn, cut where the piece ends. */
  take(step: Step): void;
  /** How far it is, from 0 to 1, and the time that it will still take. */
  told(progress: number, secondsLeft: number): void;
  cancelled(): boolean;
}

/** Compute from a frame on, which must be aligned; gives whether it came to the end. */
export async function computeAll(
  stream: Stream,
  playing: Playing,
  taker: Taker,
  first = 0,
): Promise<boolean> {
  const nSamples = stream.nSamples - first * stream.hopLength;
  const began = performance.now();
  let told = began;
  let place = await stream.start(first, playing);
  try {
    for (let done = 0; done < nSamples;) {
      const step = await stream.step(place, playing, first);
      place = step.next;
      const rest = Math.min(step.mix[0].length, nSamples - done);
      const mix = step.mix.map((side) => side.subarray(0, rest)) as Step["mix"];
      taker.take({ ...step, mix });
      done += rest;
      await turn(0);
      if (taker.cancelled()) return false;
      const now = performance.now();
      if (now - told < TOLD_MS || !done) continue;
      told = now;
      const progress = done / nSamples;
      taker.told(progress, ((now - began) / 1000) * (1 / progress - 1));
    }
  } finally {
    stream.end(place);
  }
  return true;
}

/** Lets messages in and whoever else waits go on. */
export function turn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
