// Playing: what the engine and the loudspeaker are told, and where the listener is.

import type { Speaker } from "../audio/speaker";
import constants from "../constants.json";
import type { FromEngine, Tell } from "../engine/messages";
import { duration, type Score } from "../score/score";
import type { Timbre } from "../timbre/timbre";
import { MelHistory } from "./mel_history";

/** What is played; without tracks time goes on in silence, for the keyboard. */
export interface Programme {
  score: Score;
  /** One for each track. */
  timbres: Timbre[];
  heard: boolean[];
  /** The keyboard's timbre, where it plays along. */
  live: Timbre | null;
}

export class Transport {
  playing = $state(false);
  seconds = $state(0);
  loop = $state(false);

  sampleRate = $state(16000);
  realTimeFactor = $state(0);
  ahead = $state(0);
  underruns = $state(0);
  changeMs = $state<number | null>(null);

  readonly mel = new MelHistory();
  /** For those who measure the page: the listener's place in the ring. */
  read = 0;
  /** Counts changes of what the pictures show beside the position. */
  version = 0;

  duration = $derived.by(() => duration(this.programme().score));

  private speaker: Speaker | null = null;
  private positionAt = 0;

  /**
   * @param programme gives what is to be played now
   * @param complain says what keeps the sound back
   */
  constructor(
    private readonly tell: Tell,
    private readonly programme: () => Programme,
    private readonly complain: (words: string) => void,
  ) {}

  connect(speaker: Speaker, port: MessagePort | null): void {
    this.speaker = speaker;
    if (port) this.tell({ kind: "worklet", port }, [port]);
  }

  /** Whether the browser lets sound through. */
  get audible(): boolean {
    return this.speaker !== null && !this.speaker.suspended;
  }

  async play(): Promise<void> {
    await this.wakeUp();
    if (this.duration > 0 && this.seconds >= this.duration + constants.releaseS - 0.05) this.cue(0);
    this.playing = true;
    this.tell({ kind: "play", playing: true });
  }

  stop(): void {
    this.playing = false;
    this.tell({ kind: "play", playing: false });
  }

  seek(seconds: number): void {
    this.cue(Math.max(0, Math.min(seconds, this.duration)));
  }

  setLoop(loop: boolean): void {
    this.loop = loop;
    this.tell({ kind: "loop", loop });
  }

  async key(pitch: number, velocity: number): Promise<void> {
    if (velocity > 0 && !this.audible) await this.wakeUp();
    this.tell({ kind: "key", pitch, velocity });
  }

  /** Play the programme from somewhere. */
  cue(seconds: number): void {
    this.version++;
    this.seconds = seconds;
    this.mel.clear();
    const { score, timbres, heard, live } = this.programme();
    this.tell({ kind: "score", tracks: score.tracks, timbres, heard, seconds, live });
  }

  /** Timbres, or which tracks are heard, have changed within the programme. */
  changed(keys: Timbre): void {
    this.version++;
    const { timbres, heard } = this.programme();
    this.tell({ kind: "change", timbres: [...timbres, keys], heard });
  }

  /** Where the listener is, between two messages of the engine. */
  smoothSeconds(): number {
    if (!this.playing) return this.seconds;
    return this.seconds + Math.min(performance.now() - this.positionAt, 100) / 1000;
  }

  positioned(told: Extract<FromEngine, { kind: "position" }>): void {
    this.read = told.read;
    this.realTimeFactor = told.realTimeFactor;
    this.ahead = told.ahead;
    this.underruns = told.underruns;
    if (told.playing && this.playing) this.seconds = told.seconds;
    this.positionAt = performance.now();
  }

  changeHeard({ asked, heard }: Extract<FromEngine, { kind: "changed" }>): void {
    const latencyMs = this.speaker?.outputLatencyMs ?? 0;
    this.changeMs = (1000 * (heard - asked)) / this.sampleRate + latencyMs;
  }

  /** Keep what the worklet plays from now on. */
  startCapture(): void {
    this.speaker!.startRecording();
  }

  endCapture(): Promise<{ left: Float32Array; right: Float32Array }> {
    return this.speaker!.stopRecording();
  }

  private async wakeUp(): Promise<void> {
    try {
      await this.speaker!.resume();
    } catch {
      // The next line says it in words.
    }
    if (!this.audible) {
      this.complain(
        "The browser holds the sound back. Press Play again, or allow sound for this page.",
      );
    }
  }
}
