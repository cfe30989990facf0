// Audio → what an encoder says of it, window by window, as src/timbrel/hearing/stream.py does it. A
// window begins half a window after the one before; the last one ends with the sound.

import type { MelGeometry } from "../engine/bundle";
import { calibrated, type Calibration, type Gaussian } from "./combining";
import { elementwise, type Matrix } from "./linear";
import { MelSpectrogram } from "./mel_spectrogram";

const WINDOWS_AT_ONCE = 4; // so that memory is bounded
const LEAST_DEVIATION = 1e-6;

/** Of an encoder's bundle. */
export interface EncoderConfig {
  mel: MelGeometry;
  /** The Mel2Mel whose space it speaks of. */
  mel2mel: string;
  window_s: number;
  calibration: Calibration;
}

/** The network: mels (windows, frames, bands) → means, Cholesky factors and logits of each window. */
export type EncoderNetwork = (
  mel: Float32Array,
  shape: [number, number, number],
) => Promise<{ mean: Float32Array; factor: Float32Array; logits: Float32Array }>;

/** What is said of a window. */
export interface HeardWindow extends Gaussian {
  levelDb: number;
  /** Log-probabilities of the instruments; the last one: of none. */
  logs: number[];
}

/** Told how far it is, from 0 to 1; lets others have their turn, and throws where that is enough. */
export type Told = (progress: number) => Promise<void>;

export class Encoder {
  private readonly spectrogram: MelSpectrogram;
  private readonly window: number;
  private readonly calibration: Calibration;
  private readonly centre: number[];
  private readonly deviation: number[];
  /** Of the instruments, in normalised coordinates. */
  private readonly normalised: number[][];

  /** @param points of the instruments */
  constructor(
    private readonly config: EncoderConfig,
    readonly points: number[][],
    private readonly network: EncoderNetwork,
  ) {
    const { mel, window_s, calibration } = config;
    this.spectrogram = new MelSpectrogram(mel);
    const frameRate = mel.sample_rate / mel.hop_length;
    this.window = Math.max(Math.round(window_s * frameRate), 2);
    this.calibration = calibration;
    const mean = (of: (point: number[]) => number) =>
      points.reduce((sum, point) => sum + of(point), 0) / points.length;
    this.centre = points[0].map((_, d) => mean((point) => point[d]));
    this.deviation = this.centre.map((middle, d) =>
      Math.max(Math.sqrt(mean((point) => (point[d] - middle) ** 2)), LEAST_DEVIATION),
    );
    this.normalised = points.map((point) =>
      point.map((value, d) => (value - this.centre[d]) / this.deviation[d]),
    );
  }

  get shared(): number {
    return this.calibration.shared;
  }

  /** What is said of a sound, (samples,) at the model's rate. */
  async hear(audio: Float32Array, told: Told): Promise<HeardWindow[]> {
    const { n_mels, floor } = this.config.mel;
    const nFrames = this.spectrogram.countOf(audio);
    // Less than a hop is a frame of silence.
    const mel = new Float32Array(Math.max(nFrames, 1) * n_mels).fill(Math.log(floor));
    let known = 0;
    const found: HeardWindow[] = [];
    const starts = windowStarts(Math.max(nFrames, 1), this.window);
    const length = Math.min(this.window, Math.max(nFrames, 1));
    for (let i = 0; i < starts.length; i += WINDOWS_AT_ONCE) {
      const batch = starts.slice(i, i + WINDOWS_AT_ONCE);
      const end = Math.min(batch.at(-1)! + length, nFrames);
      mel.set(this.spectrogram.of(audio, known, end), known * n_mels);
      known = end;
      const windows = new Float32Array(batch.length * length * n_mels);
      batch.forEach((start, k) =>
        windows.set(mel.subarray(start * n_mels, (start + length) * n_mels), k * length * n_mels),
      );
      found.push(...(await this.said(windows, batch.length, length)));
      await told(Math.min(i + WINDOWS_AT_ONCE, starts.length) / starts.length);
    }
    return found;
  }

  private async said(mel: Float32Array, n: number, frames: number): Promise<HeardWindow[]> {
    const { n_mels } = this.config.mel;
    const { mean, factor, logits } = await this.network(mel, [n, frames, n_mels]);
    const size = mean.length / n;
    return Array.from({ length: n }, (_, i) => {
      const own = calibrated(
        rows(factor.subarray(i * size * size, (i + 1) * size * size), size),
        [...logits.subarray((i * logits.length) / n, ((i + 1) * logits.length) / n)],
        this.normalised,
        this.calibration,
      );
      const { deviation, centre } = this;
      const scales = deviation.map((a) => deviation.map((b) => a * b));
      return {
        levelDb: levelDb(mel.subarray(i * frames * n_mels, (i + 1) * frames * n_mels)),
        mean: centre.map((middle, d) => mean[i * size + d] * deviation[d] + middle),
        covariance: elementwise((value, scale) => value * scale, own.covariance, scales),
        logs: own.logs,
      };
    });
  }
}

/** The first frames of the windows of a sound. */
export function windowStarts(nFrames: number, window: number): number[] {
  const hop = Math.floor(window / 2);
  const starts = [0];
  while (nFrames - starts.at(-1)! >= window + hop) starts.push(starts.at(-1)! + hop);
  if (nFrames - starts.at(-1)! > window) starts.push(nFrames - window);
  return starts;
}

/** The level of a natural-log mel's mean power. */
function levelDb(mel: Float32Array): number {
  let sum = 0;
  for (const value of mel) sum += Math.exp(2 * value);
  return 10 * Math.log10(sum / mel.length);
}

function rows(flat: Float32Array, size: number): Matrix {
  return Array.from({ length: size }, (_, i) => [...flat.subarray(i * size, (i + 1) * size)]);
}
