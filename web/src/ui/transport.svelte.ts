// Playing: what the engine and the loudspeaker are told, and where the listener is.

import type { Speaker } from "../audio/speaker";
import constants from "../constants.json";
import type { FromEngine, Tell } from "../engine/messages";
import { duration, type Score } from "../score/score";
import type { Timbre } from "../timbre/timbre";
import { remember, remembered } from "./browser";
import { MelHistory } from "./mel_history";

export const MAX_VOLUME = 100;
const NEAR_END_S = 0.05; // from where on Play begins anew
const HAND_RESTS_MS = 300; // after the last change
const VOLUME_KEY = "timbrel.volume";
const DRY_KEY = "timbrel.dry";

/** What is played; without tracks time goes on in silence, for the keyboard. */
export interface Programme {
  /** The piece's number; null for what is played in between. */
  piece: number | null;
  score: Score;
  /** One for each track. */
  timbres: Timbre[];
  heard: boolean[];
  /** The timbre of the keyboard, where it plays. */
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
  /** Tracks that are being computed. */
  nTracks = $state(0);
  /** Whether the programme takes longer to compute than to play. */
  overloaded = $state(false);
  /** Whether what is played was computed beforehand. */
  rendered = $state(false);
  /** Whether the listener would rather wait than hear gaps. */
  waits = $state(true);
  /** Of that computation, while it lasts. */
  rendering = $state.raw<{ progress: number; secondsLeft: number | null } | null>(null);
  changeMs = $state<number | null>(null);
  /** From a key that is struck to its sound, as far as the browser knows. */
  keyMs = $state(0);
  /** Of the loudspeaker, in Hz; 0 until it is there. */
  deviceRate = $state(0);
  /** The gain that brings the programme to the usual loudness, in dB. */
  gainDb = $state(0);
  /** Of the loudspeaker, from 0 to 100. */
  volume = $state(rememberedVolume());
  /** Whether the room is left out. */
  dry = $state(remembered(DRY_KEY) === "true");

  readonly mel = new MelHistory();
  /** For those who measure the page: the listener's place in the ring. */
  read = 0;
  /** Counts changes of what the pictures show beside the position. */
  version = 0;

  duration = $derived.by(() => duration(this.programme().score));

  private speaker: Speaker | null = null;
  private told: Programme | null = null;
  private resting: ReturnType<typeof setTimeout> | undefined;
  private positionAt = 0;
  private order = 0; // see `ToEngine`

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
    this.deviceRate = speaker.sampleRate;
    speaker.setVolume(volumeFactor(this.volume));
    if (port) this.tell({ kind: "worklet", port }, [port]);
  }

  /** Whether the browser lets sound through. */
  get audible(): boolean {
    return this.speaker !== null && !this.speaker.suspended;
  }

  /** Play, or compute ahead first where the computer cannot keep up. */
  async play(): Promise<void> {
    if (this.overloaded && !this.rendered && this.waits) return this.buffer();
    this.cancelRender();
    await this.begin();
  }

  private async begin(): Promise<void> {
    await this.wakeUp();
    if (this.duration > 0 && this.seconds >= this.end - NEAR_END_S) this.seek(0);
    this.playing = true;
    this.tell({ kind: "play", order: ++this.order, playing: true });
  }

  stop(): void {
    this.playing = false;
    this.tell({ kind: "play", order: this.order, playing: false });
  }

  seek(seconds: number): void {
    this.goTo(Math.max(0, Math.min(seconds, this.duration)));
    this.tell({ kind: "seek", order: ++this.order, seconds: this.seconds });
    if (this.rendering) this.buffer(); // from there
  }

  setLoop(loop: boolean): void {
    this.loop = loop;
    this.tell({ kind: "loop", loop });
  }

  setVolume(volume: number): void {
    this.volume = Math.max(0, Math.min(MAX_VOLUME, Math.round(volume)));
    this.speaker?.setVolume(volumeFactor(this.volume));
    remember(VOLUME_KEY, String(this.volume));
  }

  setDry(dry: boolean): void {
    this.dry = dry;
    remember(DRY_KEY, String(dry));
    if (this.told) this.tellChange(this.told);
  }

  async key(pitch: number, velocity: number): Promise<void> {
    if (velocity > 0 && !this.audible) await this.wakeUp();
    this.tell({ kind: "key", pitch, velocity });
  }

  /** Play the programme from somewhere; `seamless`: without a gap in what is played until then. */
  cue(seconds: number, seamless = false): void {
    this.cancelRender();
    this.goTo(seconds);
    this.told = this.programme();
    const { piece, score, timbres, heard, live } = this.told;
    const { tracks } = score;
    const { dry } = this;
    const order = ++this.order;
    this.tell({
      kind: "score",
      order,
      piece,
      tracks,
      timbres,
      heard,
      dry,
      seconds,
      live,
      seamless,
    });
  }

  /** Timbres, or which tracks are heard, may have changed within the programme. */
  changed(): void {
    this.version++;
    const before = this.told;
    const now = this.programme();
    if (before && sameSound(before, now)) return;
    this.told = now;
    this.tellChange(now);
  }

  private tellChange({ timbres, heard, live }: Programme): void {
    this.tell({ kind: "change", timbres, heard, dry: this.dry, live });
    if (!this.rendering) return;
    // What was computed ahead is of another sound; it begins anew once the hand rests.
    this.rendering = { progress: 0, secondsLeft: null };
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rendering && this.buffer(), HAND_RESTS_MS);
  }

  /**
   * Compute so much of the programme that it can be played without a gap, then play it: for a computer
   * that is too slow for it. A keyboard cannot wait.
   */
  async buffer(): Promise<void> {
    const { piece, live } = this.programme();
    if (piece === null || live) return this.begin();
    if (this.playing) this.stop();
    this.rendering = { progress: 0, secondsLeft: null };
    this.tell({ kind: "render" });
    await this.wakeUp(); // while this is the user's gesture
  }

  /** Play at once, with gaps. */
  async playAtOnce(): Promise<void> {
    this.waits = false;
    await this.play();
  }

  cancelRender(): void {
    if (!this.rendering) return;
    clearTimeout(this.resting);
    this.rendering = null;
    this.tell({ kind: "cancel render" });
  }

  /** How far that is; playing begins where it is done. */
  async renders(told: Extract<FromEngine, { kind: "render" }>): Promise<void> {
    if (!this.rendering) return;
    const { progress, secondsLeft, playable } = told;
    this.rendering = playable ? null : { progress, secondsLeft };
    if (playable) await this.begin();
  }

  /**
   * The engine has played all there was. What it was told last of the place is from before that, so
   * the place is the end itself. Gives false where it has been sent elsewhere meanwhile: then it goes on.
   */
  ended(order: number): boolean {
    if (order !== this.order) {
      if (this.playing) this.tell({ kind: "play", order: this.order, playing: true });
      return false;
    }
    this.playing = false;
    this.seconds = this.end;
    return true;
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
    this.nTracks = told.nTracks;
    this.overloaded = told.overloaded;
    this.rendered = told.rendered;
    this.gainDb = told.gainDb;
    this.keyMs = 1000 * told.keyLatency + (this.speaker?.outputLatencyMs ?? 0);
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

  /** Where the last note and its room have died away. */
  private get end(): number {
    return this.duration + constants.releaseS + constants.room.decayS;
  }

  private goTo(seconds: number): void {
    this.version++;
    this.seconds = seconds;
    this.mel.clear();
  }

  private async wakeUp(): Promise<void> {
    try {
      await this.speaker!.resume();
    } catch {
      // The next line says it in words.
    }
    if (!this.audible) {
      this.complain(
        "The browser is blocking sound. Press Play again, or allow sound for this page.",
      );
    }
  }
}

function rememberedVolume(): number {
  const volume = Number.parseInt(remembered(VOLUME_KEY) ?? "", 10);
  return volume >= 0 && volume <= MAX_VOLUME ? volume : MAX_VOLUME;
}

/** Hearing is nearer to the square than to the factor itself. */
function volumeFactor(volume: number): number {
  return (volume / MAX_VOLUME) ** 2;
}

function sameSound(a: Programme, b: Programme): boolean {
  const same = <T>(first: T[], second: T[]) =>
    first.length === second.length && first.every((one, i) => one === second[i]);
  return same(a.timbres, b.timbres) && same(a.heard, b.heard) && a.live === b.live;
}
