// Sound → notes, block by block, as src/timbrel/transcription/stream.py and transcriber.py hear them:
// of any length in fixed memory, whatever the length of the blocks.

import constants from "../constants.json";
import { NoteDecoder, type HeardNote, type Watcher } from "./decoding";
import { FrontEnd } from "./front_end";
import { frameRateOf, framesAhead, latencyOf, N_HEADS, type TranscriberConfig } from "./sizes";

export const BLOCK_FRAMES = 256; // of a call of the network at most, so that its memory is bounded

/** The network: spectra (1, windows, frames, bands) and its states → values (1, frames, 88, 5). */
export interface TranscriberNetwork<State> {
  start(): State;
  run(
    spectra: Float32Array,
    shape: [number, number, number, number],
    state: State,
  ): Promise<{ values: Float32Array; state: State }>;
}

/** How long after it begins a note is known, in seconds; blocks and computing come on top. */
export function noteLatencyOf({ model }: TranscriberConfig): number {
  return latencyOf(model) + constants.transcription.peakFrames / frameRateOf(model);
}

export class NoteStream<State> {
  private readonly frontEnd: FrontEnd;
  private readonly decoder: NoteDecoder;
  private state: State;
  private toDrop: number; // frames: what is said first is of those before the first one
  private nHeard = 0; // samples
  private nTold = 0; // frames

  constructor(
    private readonly config: TranscriberConfig,
    private readonly network: TranscriberNetwork<State>,
    watcher: Watcher | null = null,
  ) {
    const { model, thresholds } = config;
    this.frontEnd = new FrontEnd(model);
    this.decoder = new NoteDecoder(frameRateOf(model), thresholds, watcher);
    this.state = network.start();
    this.toDrop = framesAhead(model);
  }

  /** Hear more samples at the model's rate; gives the notes that are over. */
  async push(audio: Float32Array): Promise<HeardNote[]> {
    this.nHeard += audio.length;
    return this.hear(audio, Infinity);
  }

  /** Hear the frames that are left, up to the last sample, and end what still sounds. */
  async finish(): Promise<HeardNote[]> {
    const { model } = this.config;
    const nLeft = Math.ceil(this.nHeard / model.hop_length) - this.nTold;
    const silence = framesAhead(model) * model.hop_length + Math.max(...model.windows);
    const found = await this.hear(new Float32Array(silence), nLeft);
    return [...found, ...this.decoder.finish()];
  }

  /** @param most frames that are told of */
  private async hear(audio: Float32Array, most: number): Promise<HeardNote[]> {
    const { model } = this.config;
    const notes: HeardNote[] = [];
    const block = BLOCK_FRAMES * model.hop_length;
    const rowSize = constants.nPitches * N_HEADS;
    let left = most;
    for (let first = 0; first < audio.length; first += block) {
      const spectra = this.frontEnd.push(audio.subarray(first, first + block));
      const nFrames = spectra.length / (model.windows.length * this.frontEnd.nBands);
      if (!nFrames) continue;
      const shape = [1, model.windows.length, nFrames, this.frontEnd.nBands] as const;
      const { values, state } = await this.network.run(spectra, [...shape], this.state);
      this.state = state;
      const dropped = Math.min(this.toDrop, nFrames);
      this.toDrop -= dropped;
      const told = Math.min(nFrames - dropped, left);
      left -= told;
      this.nTold += told;
      notes.push(
        ...this.decoder.push(values.subarray(dropped * rowSize, (dropped + told) * rowSize)),
      );
    }
    return notes;
  }
}
