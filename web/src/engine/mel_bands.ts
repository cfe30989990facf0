// The bands of a mel spectrogram, as src/timbrel/mel/spectrogram.py has them.

import type { MelGeometry } from "./bundle";

/** Weights of the bins of a transform, from the first one that counts on. */
export interface Band {
  first: number;
  weights: Float64Array;
}

/** Triangular filters on the HTK mel scale, each from its first bin that is not zero. */
export function melBands(mel: MelGeometry): Band[] {
  const edges = bandEdgesHz(mel);
  return Array.from({ length: mel.n_mels }, (_, band) => {
    const [lower, centre, upper] = edges.slice(band, band + 3);
    const weight = (bin: number) => {
      const hz = (bin * mel.sample_rate) / mel.n_fft;
      return Math.max(
        0,
        Math.min((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)),
      );
    };
    const first = Math.max(Math.floor((lower * mel.n_fft) / mel.sample_rate), 0);
    const last = Math.min(Math.ceil((upper * mel.n_fft) / mel.sample_rate), mel.n_fft / 2);
    return {
      first,
      weights: Float64Array.from({ length: last - first + 1 }, (_, i) => weight(first + i)),
    };
  });
}

/** The frequencies at which the bands peak. */
export function bandCentresHz(mel: MelGeometry): number[] {
  return bandEdgesHz(mel).slice(1, -1);
}

/** A band begins at one edge, peaks at the next and ends at the one after that. */
function bandEdgesHz(mel: MelGeometry): number[] {
  const toMel = (hz: number) => 2595 * Math.log10(1 + hz / 700);
  const toHz = (value: number) => 700 * (10 ** (value / 2595) - 1);
  const [low, high] = [toMel(mel.f_min_hz), toMel(mel.f_max_hz)];
  return Array.from({ length: mel.n_mels + 2 }, (_, i) =>
    toHz(low + (i / (mel.n_mels + 1)) * (high - low)),
  );
}
