// Playing by microphone: what is sung or played into it is heard as notes while it sounds, drawn, and
// struck as keys. Whatever ends it lets all keys go, and the notes are kept.

import { Microphone } from "../audio/microphone";
import constants from "../constants.json";
import type { Ear, Heard, Listening } from "../hearing/ear";
import { liveBlockSize, liveLatency, type LiveLatency } from "../hearing/live_latency";
import type { LiveNews } from "../hearing/messages";
import type { BegunNote, HeardNote } from "../transcription/decoding";
import type { TranscriberConfig } from "../transcription/sizes";
import { remember, remembered } from "./browser";
import type { Models } from "./models.svelte";
import type { Transport } from "./transport.svelte";

const PLAYS_KEY = "timbrel.microphone-plays";
const LOST = "The microphone was taken away or halted. The notes until then are here.";
const HIDDEN = "The microphone was let go when the page was hidden. The notes until then are here.";
const JUDGED_AFTER_S = 4; // of the level
const SILENT = "Nothing comes in. Is the microphone switched off, or is another one chosen?";
const SOFT = "It is very soft: go nearer, or turn the microphone up in the system’s settings.";
const PACE_SHARE = 0.1; // of a new block's time in the mean

const { silentPeak, softPeak } = constants.recording;

/** A note as it is drawn; it sounds on where it has no end. */
export interface DrawnNote {
  pitch: number;
  velocity: number;
  start: number;
  end: number | null;
}

/** What the session does for it. */
export interface LiveStage {
  begin(): void;
  /** Keys that are struck are heard from now on. */
  playKeys(): Promise<void>;
  restKeys(): void;
  key(pitch: number, velocity: number): Promise<void>;
  /** The notes of all that was heard, and what should be known of them. */
  take(heard: Heard<"notes">): void;
  say(words: string): void;
}

export class Live {
  phase = $state<"off" | "asking" | "loading" | "listening" | "ending">("off");
  /** Whether notes are played, not only written down. */
  plays = $state(remembered(PLAYS_KEY) !== "false");
  /** Why it could not begin or went wrong, in words. */
  fault = $state("");
  /** Of the microphone, 0 to 1. */
  level = $state(0);
  seconds = $state(0);
  /** Notes that were heard. */
  count = $state(0);
  /** Pitches that sound. */
  held = $state.raw<number[]>([]);
  /** What should be known of the level, in words. */
  remark = $state("");
  /** How late notes are. */
  latency = $derived.by<LiveLatency | null>(() => {
    const { transcriber } = this.models;
    const rate = this.microphone?.sampleRate ?? this.transport.deviceRate;
    if (!transcriber || !rate) return null;
    return liveLatency(transcriber.config as unknown as TranscriberConfig, rate, {
      inputS: this.microphone?.latencyS ?? 0,
      computeMs: this.computeMs,
      playingMs: this.plays ? this.transport.keyMs : 0,
    });
  });
  listening = $derived(this.phase === "listening");
  /** What the roll draws, in the order in which it began. */
  readonly notes: DrawnNote[] = [];

  private microphone = $state.raw<Microphone | null>(null);
  private computeMs = $state(0); // of a block, smoothed
  private ear: Listening | null = null;
  private run = 0; // counts beginnings and ends, so that what comes late is known as such
  private peak = 0;
  private toldAt = 0; // when `heardS` was told
  private heardS = 0;
  private readonly drawn = new Map<number, DrawnNote>();
  /** By pitch: the number of the note that holds its key down. */
  private readonly keys = new Map<number, number>();

  constructor(
    private readonly hearing: Ear,
    private readonly models: Models,
    private readonly transport: Transport,
    private readonly stage: LiveStage,
  ) {}

  /** Ask for the microphone, and hear it. */
  async start(): Promise<void> {
    if (this.phase !== "off") return;
    const run = ++this.run;
    const isOver = () => run !== this.run;
    [this.phase, this.fault] = ["asking", ""];
    try {
      const entry = this.models.transcriber;
      if (!entry) throw new Error("This page has no model that hears notes.");
      const microphone = await Microphone.open(() => this.finish(LOST));
      // Who closed the panel while the browser asked wants no microphone.
      if (isOver()) return microphone.close();
      this.microphone = microphone;
      this.phase = "loading";
      const { port1, port2 } = new MessageChannel();
      const { sampleRate } = microphone;
      const ear = await this.hearing.listen(
        { sampleRate, entry, port: port2 },
        (news) => !isOver() && this.told(news),
        (error) => !isOver() && this.broken(error),
      );
      if (isOver()) return ear.forget();
      this.ear = ear;
      this.clear();
      this.stage.begin();
      if (this.plays) await this.stage.playKeys();
      if (isOver()) return;
      const config = entry.config as unknown as TranscriberConfig;
      await microphone.listen(liveBlockSize(config, sampleRate), port1);
      if (isOver()) return;
      this.phase = "listening";
      this.toldAt = performance.now();
      this.watch(run);
      this.stage.say("Listening.");
      if (document.hidden) this.hidden();
    } catch (error) {
      if (!isOver()) this.broken(error as Error);
    }
  }

  /** End it: the notes are kept. */
  async finish(reason = ""): Promise<void> {
    if (this.phase !== "listening") return;
    const { ear, run } = this;
    this.phase = "ending";
    this.closeMicrophone();
    await this.letGo();
    if (this.plays) this.stage.restKeys();
    try {
      const heard = await ear!.finish();
      if (run !== this.run) return;
      this.run++;
      this.phase = "off";
      this.stage.take({ ...heard, remarks: [...heard.remarks, ...(reason ? [reason] : [])] });
    } catch (error) {
      if (run === this.run) this.broken(error as Error);
    }
  }

  /** End it: the notes are of no use. */
  async abort(): Promise<void> {
    const { phase, ear } = this;
    this.run++;
    this.phase = "off";
    this.fault = "";
    ear?.forget();
    this.ear = null;
    this.closeMicrophone();
    await this.letGo();
    const mayPlay = phase === "loading" || phase === "listening";
    if (mayPlay && this.plays) this.stage.restKeys();
  }

  /** Nobody sees the page any more. */
  hidden(): void {
    void this.finish(HIDDEN);
  }

  async setPlays(plays: boolean): Promise<void> {
    this.plays = plays;
    remember(PLAYS_KEY, String(plays));
    if (!this.listening) return;
    if (plays) return this.stage.playKeys();
    await this.strikeNone();
    this.stage.restKeys();
  }

  /** Where the microphone is, between two messages of the ear. */
  smoothSeconds(): number {
    return this.heardS + Math.min(performance.now() - this.toldAt, 200) / 1000;
  }

  private told(news: LiveNews): void {
    if (news.kind === "stuck") {
      void this.finish(`${news.message[0].toUpperCase()}${news.message.slice(1)}.`);
    } else if (news.kind === "pace") {
      this.heardS = news.heardS;
      this.toldAt = performance.now();
      const share = this.computeMs ? PACE_SHARE : 1;
      this.computeMs += share * (news.computeMs - this.computeMs);
    } else if (!this.listening) return;
    else if (news.kind === "begun") this.begun(news.note);
    else if (news.kind === "over") this.over(news.note, news.heard);
  }

  private begun({ number, pitch, velocity, startS }: BegunNote): void {
    const note: DrawnNote = { pitch, velocity, start: startS, end: null };
    this.notes.push(note);
    this.drawn.set(number, note);
    this.count++;
    this.held = [...this.held, pitch];
    // Where nothing plays any more, a key would begin it anew.
    if (!this.plays || !this.transport.playing) return;
    this.keys.set(pitch, number);
    void this.stage.key(pitch, velocity);
  }

  private over({ number, pitch }: BegunNote, { endS }: HeardNote): void {
    const note = this.drawn.get(number);
    if (note) note.end = endS;
    this.drawn.delete(number);
    this.held = this.held.toSpliced(this.held.indexOf(pitch), 1);
    // A bent note may hold the key of one that was struck since.
    if (this.keys.get(pitch) !== number) return;
    this.keys.delete(pitch);
    void this.stage.key(pitch, 0);
  }

  private async letGo(): Promise<void> {
    this.held = [];
    const end = this.heardS;
    for (const note of this.drawn.values()) note.end = Math.max(end, note.start);
    this.drawn.clear();
    await this.strikeNone();
  }

  private async strikeNone(): Promise<void> {
    const pitches = [...this.keys.keys()];
    this.keys.clear();
    await Promise.all(pitches.map((pitch) => this.stage.key(pitch, 0)));
  }

  private broken({ message }: Error): void {
    void this.abort();
    this.fault = message;
  }

  private clear(): void {
    this.notes.length = 0;
    this.drawn.clear();
    this.held = [];
    this.count = this.seconds = this.heardS = this.peak = this.computeMs = 0;
    this.remark = "";
  }

  private closeMicrophone(): void {
    this.microphone?.close();
    this.microphone = null;
    this.level = 0;
  }

  private watch(run: number): void {
    if (run !== this.run || !this.listening) return;
    this.level = this.microphone!.level();
    this.peak = Math.max(this.peak, this.level);
    this.seconds = this.heardS;
    const isJudged = this.seconds > JUDGED_AFTER_S;
    const words = this.peak < silentPeak ? SILENT : this.peak < softPeak ? SOFT : "";
    this.remark = isJudged ? words : "";
    requestAnimationFrame(() => this.watch(run));
  }
}
