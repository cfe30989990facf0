// Recordings → notes, as src/timbrel/transcription/transcriber.py hears them.

import type { Told } from "../hearing/encoder";
import { median } from "../hearing/linear";
import type { HeardNote, Watcher } from "./decoding";
import { frameRateOf, type TranscriberConfig } from "./sizes";
import { BLOCK_FRAMES, NoteStream, type TranscriberNetwork } from "./stream";

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
  constructor(
    readonly config: TranscriberConfig,
    private readonly network: TranscriberNetwork<State>,
  ) {}

  /** Hears a stream, for whoever wants notes as they come. */
  listen(watcher: Watcher | null = null): NoteStream<State> {
    return new NoteStream(this.config, this.network, watcher);
  }

  /** The notes of a sound, (samples,) at the model's rate. */
  async hear(audio: Float32Array, told: Told): Promise<Transcription> {
    const stream = this.listen();
    const block = BLOCK_FRAMES * this.config.model.hop_length;
    const notes: HeardNote[] = [];
    for (let first = 0; first < audio.length; first += block) {
      notes.push(...(await stream.push(audio.subarray(first, first + block))));
      await told(Math.min((first + block) / audio.length, 1));
    }
    notes.push(...(await stream.finish()));
    return described(notes, frameRateOf(this.config.model));
  }
}

export function described(notes: HeardNote[], frameRate: number): Transcription {
  const ordered = notes.sort((a, b) => a.startS - b.startS || a.pitch - b.pitch);
  const steady = ordered.filter(({ bendCents }) => !bendCents.length).map(({ cents }) => cents);
  return { notes: ordered, frameRate, tuningCents: steady.length ? median(steady) : 0 };
}
