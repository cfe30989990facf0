// Notes by dictation: blocks of sound come in, notes go out as soon as they are known. What cannot be
// heard in time is heard together, and what is too much ends it: its memory is bounded.

import type { BegunNote, HeardNote } from "../transcription/decoding";
import { frameRateOf } from "../transcription/sizes";
import type { NoteStream } from "../transcription/stream";
import { described, type Transcriber, type Transcription } from "../transcription/transcriber";
import { joined } from "../audio/joined";
import type { LiveNews } from "./messages";
import { Resampling } from "./resampling";

export const LONGEST_NOTE_S = 20; // or a release that was missed would sound for ever
export const MOST_WAITING_S = 4;
const TOO_SLOW =
  "this computer is too slow to hear notes as they are played; record a sound instead";

export class Dictation<State> {
  private readonly stream: NoteStream<State>;
  private readonly resampling: Resampling;
  private readonly notes: HeardNote[] = [];
  private readonly sounding = new Map<number, BegunNote>();
  private waiting: Float32Array[] = [];
  private nWaiting = 0;
  private nHeard = 0; // samples
  private working: Promise<void> = Promise.resolve();
  private ended = false;

  /** @param say tells what is heard */
  constructor(
    private readonly transcriber: Transcriber<State>,
    private readonly sampleRate: number,
    private readonly say: (news: LiveNews) => void,
  ) {
    this.resampling = new Resampling(sampleRate, transcriber.config.model.sample_rate);
    this.stream = transcriber.listen({
      longestS: LONGEST_NOTE_S,
      begun: (note) => {
        this.sounding.set(note.number, note);
        if (!this.ended) this.say({ kind: "begun", note });
      },
      ended: (number, heard) => {
        const note = this.sounding.get(number)!;
        this.sounding.delete(number);
        if (!this.ended) this.say({ kind: "over", note, heard });
      },
    });
  }

  /** Hear a block as soon as those before it are heard. */
  take(block: Float32Array): void {
    if (this.ended) return;
    this.waiting.push(block);
    this.nWaiting += block.length;
    if (this.nWaiting > MOST_WAITING_S * this.sampleRate) return this.stick(TOO_SLOW);
    if (this.waiting.length > 1) return; // whoever works takes it, too
    this.working = this.working
      .then(() => this.work())
      .catch((error: Error) => this.stick(error.message));
  }

  /** The notes of all that came, also those that still sound; nothing more is told of them. */
  async finish(): Promise<Transcription> {
    this.ended = true;
    await this.working;
    await this.hear(this.resampling.finish());
    this.notes.push(...(await this.stream.finish()));
    return described(this.notes, frameRateOf(this.transcriber.config.model));
  }

  /** Nothing more is heard. */
  end(): void {
    this.ended = true;
    this.waiting = [];
  }

  private async work(): Promise<void> {
    while (this.waiting.length) {
      const began = performance.now();
      const nBlocks = this.waiting.length;
      const audio = joined(...this.waiting);
      this.nHeard += audio.length;
      await this.hear(this.resampling.push(audio));
      this.waiting = this.waiting.slice(nBlocks);
      this.nWaiting -= audio.length;
      if (this.ended) continue;
      const computeMs = performance.now() - began;
      this.say({ kind: "pace", heardS: this.nHeard / this.sampleRate, computeMs });
    }
  }

  private async hear(audio: Float32Array): Promise<void> {
    this.notes.push(...(await this.stream.push(audio)));
  }

  private stick(message: string): void {
    if (this.ended) return;
    this.end();
    this.say({ kind: "stuck", message });
  }
}
