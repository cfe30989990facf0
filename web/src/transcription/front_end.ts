// Audio → spectra on a logarithmic frequency axis, as src/timbrel/transcription/front_end.py makes
// them: what the network hears.

import constants from "../constants.json";
import { hannWindow } from "../engine/fft";
import type { Band } from "../engine/mel_bands";
import { Frames } from "../hearing/spectra";
import { bandPitches, type Sizes } from "./sizes";

const { a4Pitch, tinyPower } = constants.transcription;

export class FrontEnd {
  readonly nBands: number;
  private readonly transforms: { frames: Frames; bands: Band[] }[];

  constructor(private readonly sizes: Sizes) {
    const pitches = bandPitches(sizes);
    this.nBands = pitches.length;
    this.transforms = sizes.windows.map((size) => ({
      frames: new Frames(scaledWindow(size), sizes.hop_length),
      bands: bandFilters(sizes, pitches, size),
    }));
  }

  /** The frames from `first` to before `last` of a whole sound, (windows, frames, bands). */
  of(audio: Float32Array, first: number, last: number): Float32Array {
    const found = new Float32Array(this.transforms.length * (last - first) * this.nBands);
    this.transforms.forEach(({ frames, bands }, i) => {
      frames.each(audio, first, last, (frame, powers) => {
        const row = (i * (last - first) + frame - first) * this.nBands;
        bands.forEach(({ first: from, weights }, band) => {
          let power = tinyPower;
          for (let k = 0; k < weights.length; k++) power += weights[k] * powers[from + k];
          found[row + band] = Math.log1p(this.sizes.scale * Math.sqrt(power));
        });
      });
    });
    return found;
  }
}

/** A Hann window with which a sine of amplitude 1 has a magnitude of 1. */
function scaledWindow(size: number): Float64Array {
  const window = hannWindow(size);
  const sum = window.reduce((a, b) => a + b, 0);
  return window.map((value) => (2 * value) / sum);
}

/**
 * Triangles for the powers of a transform: as wide as the bands, or as its bins where these are wider.
 * Bands beyond half of the sample rate are empty.
 */
function bandFilters(sizes: Sizes, pitches: number[], size: number): Band[] {
  const binHz = sizes.sample_rate / size;
  return pitches.map((pitch) => {
    const centreHz = constants.a4Hz * 2 ** ((pitch - a4Pitch) / 12);
    const ownHz = centreHz * (2 ** (1 / (12 * sizes.bands_per_semitone)) - 1);
    const widthHz = Math.max(ownHz, binHz);
    if (centreHz >= sizes.sample_rate / 2) return { first: 0, weights: new Float64Array(0) };
    const first = Math.max(Math.ceil((centreHz - widthHz) / binHz), 0);
    const last = Math.min(Math.floor((centreHz + widthHz) / binHz), size / 2);
    const weight = (bin: number) => Math.max(1 - Math.abs(bin * binHz - centreHz) / widthHz, 0);
    return {
      first,
      weights: Float64Array.from({ length: last - first + 1 }, (_, i) => weight(first + i)),
    };
  });
}
