// How loud a mix becomes, as src/timbrel/mastering.py settles it.

import constants from "../constants.json";
import { CEILING_DB, Limiter } from "./limiter";
import { LoudnessMeter, type Loudness, type Sides } from "./loudness";

const { closeLu, mostTries, maxLimitingDb } = constants.loudness;

/** Sound that can be heard more than once, in blocks. */
export type Replay = () => AsyncIterable<Sides>;

/** The gain in dB that brings a mix to a loudness with 6 dB of limiting at most. */
export async function fittedGain(
  measured: Loudness,
  replay: Replay,
  sampleRate: number,
  targetLufs: number,
): Promise<number> {
  if (measured.lufs === -Infinity) return 0;
  const free = CEILING_DB - measured.peakDb;
  let gain = Math.min(targetLufs - measured.lufs, free + maxLimitingDb);
  if (gain <= free) return gain;
  for (let tries = 0; tries < mostTries; tries++) {
    const meter = new LoudnessMeter(sampleRate);
    for await (const mix of mastered(replay(), sampleRate, gain)) meter.add(mix);
    const missing = targetLufs - meter.measured.lufs;
    const following = Math.min(gain + missing, free + maxLimitingDb);
    if (Math.abs(missing) <= closeLu || following === gain) break;
    gain = following;
  }
  return gain;
}

/** Blocks of a mix with a gain and behind the limiter; as many samples in all. */
export async function* mastered(
  blocks: AsyncIterable<Sides>,
  sampleRate: number,
  gainDb: number,
): AsyncGenerator<Sides> {
  const limiter = new Limiter(sampleRate, gainDb);
  let state = limiter.start();
  let n = 0; // samples that have not come out yet
  for await (const block of blocks) {
    const done = limiter.process(block, state);
    state = done.state;
    n += block[0].length - done.mix[0].length;
    yield done.mix;
  }
  const silence: Sides = [new Float32Array(limiter.delay), new Float32Array(limiter.delay)];
  const { mix } = limiter.process(silence, state);
  yield mix.map((side) => side.subarray(0, n)) as Sides;
}
