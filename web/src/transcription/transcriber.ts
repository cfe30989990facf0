// Audio → notes, as src/timbrel/transcription/transcriber.py hears them.

import constants from "../constants.json";
import type { Told } from "../hearing/encoder";
import { median } from "../hearing/linear";
import { NoteDecoder, type HeardNote } from "./decoding";
import { FrontEnd } from "./front_end";
import { frameRateOf, framesAhead, N_HEADS, type TranscriberConfig } from "./sizes";

const BLOCK_FRAMES = 256; // of a call of the network, so that its memory is bounded

/** The network: spectra (1, windows, frames, bands) and its states → values (1, frames, 88, 5). */
export interface TranscriberNetwork<State> {
  start(): State;
  run(
    spectra: Float32Array,
    shape: [number, number, number, number],
    state: State,
  ): Promise<{ values: Float32Array; state: State }>;
}

/** The notes of a recording. */
export interface Transcription {
  /** Sorted by start, then pitch. */
  notes: HeardNote[];
  /** Of the notes' bends. */
  frameRate: number;
  /** Of the whole recording, against A = 440 Hz; part of the notes' cents. */
  tuningCents: number;
}

export class Transcriber<State> {
  private readonly frontEnd: FrontEnd;

  constructor(
    private readonly config: TranscriberConfig,
    private readonly network: TranscriberNetwork<State>,
  ) {
    this.frontEnd = new FrontEnd(config.model);
  }

  /** The notes of a sound, (samples,) at the model's rate. */
  async hear(audio: Float32Array, told: Told): Promise<Transcription> {
    const { model, thresholds } = this.config;
    const frameRate = frameRateOf(model);
    const decoder = new NoteDecoder(frameRate, thresholds);
    const ahead = framesAhead(model); // what is said first is of frames before the first one
    const nFrames = Math.ceil(audio.length / model.hop_length) + ahead;
    const notes: HeardNote[] = [];
    let state = this.network.start();
    for (let first = 0; first < nFrames; first += BLOCK_FRAMES) {
      const last = Math.min(first + BLOCK_FRAMES, nFrames);
      const spectra = this.frontEnd.of(audio, first, last);
      const shape = [1, model.windows.length, last - first, this.frontEnd.nBands] as const;
      const found = await this.network.run(spectra, [...shape], state);
      state = found.state;
      const dropped = Math.min(Math.max(ahead - first, 0), last - first);
      notes.push(...decoder.push(found.values.subarray(dropped * constants.nPitches * N_HEADS)));
      await told(last / nFrames);
    }
    notes.push(...decoder.finish());
    return described(notes, frameRate);
  }
}

export function described(notes: HeardNote[], frameRate: number): Transcription {
  const ordered = notes.sort((a, b) => a.startS - b.startS || a.pitch - b.pitch);
  const steady = ordered.filter(({ bendCents }) => !bendCents.length).map(({ cents }) => cents);
  return { notes: ordered, frameRate, tuningCents: steady.length ? median(steady) : 0 };
}
