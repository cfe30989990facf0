// A drum part as sound: the sources that the vocoder filters where there is no pitch, as
// src/timbrel/vocoder/strokes.py makes them, in single precision as there.

import constants from "../constants.json";
import { N_KEYS, type PerformanceRoll } from "../score/performance_roll";
import { acted, type Timing } from "../score/pitch";
import { raise } from "../score/roll";
import { scattered, unitInterval } from "./chance";
import { roundHalfEven } from "./rounding";

const { nSources, agesS, bodyS, ringsS, attackS, pulsesPerS, gateS, noiseSize, noiseShift } =
  constants.strokes;
export const N_SOURCES = nSources;
export const N_AGES = agesS.length;
const [IMPULSE, ATTACK_NOISE, BODY_IMPULSES, BODY_NOISE] = [0, 1, 2, 3];

/** The strokes of a span of frames. */
export interface StrokeFrames {
  sources: Float32Array; // (N_SOURCES, samples)
  keys: Float32Array; // (frames, N_AGES · N_KEYS): how far each key's stroke has faded
}

export class Strokes {
  readonly onsets: Int32Array; // in samples, rising
  private readonly ends: Int32Array;
  private readonly keys: Int32Array;
  private readonly levels: Float32Array;
  private readonly envelopes: Envelopes;

  constructor(
    roll: PerformanceRoll,
    private readonly sampleRate: number,
    private readonly hopLength: number,
    timing: Timing,
  ) {
    const { notes } = roll;
    this.envelopes = envelopesOf(sampleRate);
    this.onsets = Int32Array.from(notes, (note) =>
      roundHalfEven(acted(note.start, timing) * sampleRate),
    );
    this.keys = Int32Array.from(notes, ({ pitch }) => pitch);
    this.levels = Float32Array.from(notes, ({ velocity }) => velocity / 127);
    this.ends = this.onsets.map((onset) => onset + Math.round(ringsS * sampleRate));
    const following = new Map<number, number>();
    for (let i = notes.length - 1; i >= 0; i--) {
      this.ends[i] = Math.min(this.ends[i], following.get(this.keys[i]) ?? Infinity);
      following.set(this.keys[i], this.onsets[i]);
    }
  }

  /** What the strokes do in the frames from `start` to `stop`. */
  frames(start: number, stop: number): StrokeFrames {
    const { hopLength, sampleRate } = this;
    const [begin, end] = [start * hopLength, stop * hopLength];
    const sources = new Float32Array(N_SOURCES * (end - begin));
    const keys = new Float32Array((stop - start) * N_AGES * N_KEYS);
    for (let i = 0; i < this.onsets.length && this.onsets[i] < end; i++) {
      if (this.ends[i] <= begin) continue;
      this.addSources(i, begin, end, sources);
      for (let frame = start; frame < stop; frame++) {
        const age = (frame * hopLength - this.onsets[i]) / sampleRate;
        // A frame that holds the onset knows of it.
        if (age <= -1 / (sampleRate / hopLength) || frame * hopLength >= this.ends[i]) continue;
        agesS.forEach((seconds, e) => {
          const fall = Math.fround(Math.exp(-Math.max(age, 0) / seconds));
          const at = ((frame - start) * N_AGES + e) * N_KEYS + this.keys[i];
          raise(keys, at, Math.fround(this.levels[i] * fall));
        });
      }
    }
    return { sources, keys };
  }

  /** Where an attack may sound, from one sample to another: 1 or 0. */
  gate(begin: number, end: number): Float32Array {
    const gate = new Float32Array(end - begin);
    const length = Math.round(gateS * this.sampleRate);
    for (let i = 0; i < this.onsets.length && this.onsets[i] < end; i++) {
      const first = this.onsets[i] - begin;
      if (first + length > 0) gate.fill(1, Math.max(first, 0), first + length);
    }
    return gate;
  }

  private addSources(index: number, begin: number, end: number, sources: Float32Array): void {
    const { fround } = Math;
    const { attack, body } = this.envelopes;
    const [onset, level, nSamples] = [this.onsets[index], this.levels[index], end - begin];
    const period = Math.round(this.sampleRate / pulsesPerS);
    const strength = fround(Math.sqrt(period)); // as loud as the noise
    const shift = noiseShift * this.keys[index];
    const first = Math.max(onset, begin);
    const last = Math.min(this.ends[index], end);
    for (let sample = first; sample < last; sample++) {
      const age = sample - onset;
      const at = sample - begin;
      const noise = NOISE[(age + shift) % noiseSize];
      const fallen = fround(level * body[age]);
      sources[BODY_NOISE * nSamples + at] += fround(fallen * noise);
      if (age % period === 0) sources[BODY_IMPULSES * nSamples + at] += fround(strength * fallen);
      if (age >= attack.length) continue;
      sources[ATTACK_NOISE * nSamples + at] += fround(fround(level * attack[age]) * noise);
      if (age === 0) sources[IMPULSE * nSamples + at] += fround(strength * level);
    }
  }
}

interface Envelopes {
  attack: Float32Array;
  body: Float32Array;
}

const envelopes = new Map<number, Envelopes>();

/** How loud attack and body of a stroke are, sample by sample from its onset on. */
function envelopesOf(sampleRate: number): Envelopes {
  const known = envelopes.get(sampleRate);
  if (known) return known;
  const [from, to] = attackS;
  const begun = (sample: number) => {
    const place = Math.min(Math.max((sample / sampleRate - from) / (to - from), 0), 1);
    return 0.5 - 0.5 * Math.cos(Math.PI * place);
  };
  const attack = new Float32Array(Math.round(to * sampleRate)).map((_, i) => 1 - begun(i));
  const body = new Float32Array(Math.round(ringsS * sampleRate)).map(
    (_, i) => begun(i) * Math.exp(-i / sampleRate / bodyS),
  );
  envelopes.set(sampleRate, { attack, body });
  return { attack, body };
}

/** Even noise of power 1. */
const NOISE = new Float32Array(noiseSize).map((_, i) =>
  Math.fround(Math.fround(Math.sqrt(3)) * (2 * unitInterval(scattered(i)) - 1)),
);
