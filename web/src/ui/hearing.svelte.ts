// A sound that was dropped, chosen or recorded, and what is heard in it: its timbre, its notes.

import { decoded, type Decoded } from "../audio/decoding";
import type { BundleEntry } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import { cloudOf } from "../hearing/cloud";
import type { Ear, Heard } from "../hearing/ear";
import type { FoundTimbre } from "../hearing/found";
import type { Wish } from "../hearing/messages";
import { isNothing, nearest } from "../hearing/words";
import { timbreFile } from "../timbre/grammar";
import { constantTimbre, type Point } from "../timbre/timbre";
import { midiFile } from "../transcription/midi_file";
import type { Transcription } from "../transcription/transcriber";
import { download } from "./browser";
import type { Choice, Models } from "./models.svelte";
import { ALL_TRACKS, KEYBOARD, type Piece } from "./piece.svelte";

const CLOUD_SIZE = 180;
const SHORT_S = 0.3; // the encoder has learnt from nothing shorter
const TOO_SHORT = "is very short; half a second or more is heard more surely";

export interface Sound extends Decoded {
  /** Of the file, to listen to it. */
  url: string;
}

/** What is, or was, wished of a sound. */
export interface Answer<T> {
  /** While it is being heard, from 0 to 1; null once it is done. */
  progress: number | null;
  found: T | null;
  /** What should be known of it, or what went wrong. */
  remarks: string[];
}

/** What the session does for it. */
export interface Stage {
  openNotes(name: string, midi: Uint8Array): void;
  choose(choice: Choice): void;
  complain(words: string): void;
  say(words: string): void;
}

export class Hearing {
  sound = $state.raw<Sound | null>(null);
  /** Of what was heard, as a file's. */
  name = $state("");
  /** The name of a file that is being decoded. */
  opening = $state("");
  /** What is shown to use the microphone with. */
  input = $state<"recorder" | "live" | null>(null);
  timbre = $state.raw<Answer<FoundTimbre> | null>(null);
  notes = $state.raw<Answer<Transcription> | null>(null);
  /** The model in whose space the timbre lies. */
  model = $state("");
  /** The piece that was made of the notes. */
  private piecesNumber = $state<number | null>(null);
  /** Whom the timbre is for, once its model is there. */
  private wanted: number | null = null;

  /** Whether that model is chosen. */
  fits = $derived.by(() => this.models.model === this.model);
  busy = $derived.by(() => this.timbre?.progress != null || this.notes?.progress != null);
  /** A timbre that can be played and saved. */
  usable = $derived.by<Point | null>(() => {
    const found = this.timbre?.found;
    return found && !isNothing(found) ? found.point : null;
  });
  private instruments = $derived.by(() => this.models.instrumentsOf(this.model));
  likely = $derived.by(() => {
    const found = this.timbre?.found;
    return found ? nearest(found, this.instruments.map(({ name }) => name)) : []; // prettier-ignore
  });
  /** Whether the timbre is that of a drum kit. */
  isKit = $derived.by(() => {
    const best = this.instruments.find(({ name }) => name === this.likely[0]?.name);
    return !!best && isKit(best);
  });
  /** Who may play it, as `Piece.select` takes it. */
  takers = $derived.by<number[]>(() => {
    const fitting = [...this.piece.score.tracks.keys()].filter(
      (track) => this.piece.voices[track] && this.piece.score.tracks[track].isKit === this.isKit,
    );
    if (this.isKit) return fitting;
    return [...(this.piece.voices.length > 1 ? [ALL_TRACKS] : []), ...fitting, KEYBOARD];
  });
  /** Where the timbre may lie, for the map of its model. */
  cloud = $derived.by<Point[]>(() => {
    if (!this.usable || !this.fits) return [];
    const { point, covariance } = this.timbre!.found!;
    return cloudOf({ mean: point, covariance }, CLOUD_SIZE);
  });
  isShown = $derived.by(
    () => !!(this.sound || this.opening || this.input || this.timbre || this.notes),
  );
  /** Whether its notes are the piece that is open. */
  isOpen = $derived.by(() => !!this.piece.source && this.piecesNumber === this.piece.number);

  constructor(
    private readonly models: Models,
    private readonly piece: Piece,
    private readonly ear: Ear,
    private readonly stage: Stage,
  ) {}

  /** A sound to hear; one that cannot be read leaves everything as it was. */
  async open(file: File): Promise<void> {
    this.opening = file.name;
    try {
      const sound = await decoded(file);
      this.close();
      this.sound = { ...sound, url: URL.createObjectURL(file) };
      this.name = file.name;
      this.stage.say(`Opened the sound ${file.name}. What should be heard in it?`);
    } catch (error) {
      this.stage.complain(`${file.name} ${(error as Error).message}`);
    } finally {
      this.opening = "";
    }
  }

  /** Show what uses the microphone, or hide it. */
  show(input: "recorder" | "live"): void {
    const before = this.input;
    this.close();
    this.input = before === input ? null : input;
  }

  /** Take notes that were heard live; `opens`: they become the piece. */
  take(name: string, heard: Heard<"notes">, opens: boolean): void {
    this.close();
    this.name = name;
    this.keep(heard);
    if (opens) this.openNotes();
  }

  close(): void {
    this.ear.forget();
    if (this.sound) URL.revokeObjectURL(this.sound.url);
    this.sound = this.timbre = this.notes = this.piecesNumber = this.wanted = null;
    this.input = null;
  }

  /** Hear what is wished, one after the other; of both, the notes play in the timbre. */
  async ask(...wishes: Wish[]): Promise<void> {
    const { sound } = this;
    if (!sound || this.busy) return;
    for (const wish of wishes) {
      await (wish === "timbre" ? this.hearTimbre(sound) : this.hearNotes(sound));
      if (this.sound !== sound) return;
    }
    if (wishes.length < 2 || !this.usable || !this.isOpen) return;
    if (this.fits) this.use(this.takers[0]);
    else if (this.models.coming === this.model) this.wanted = this.takers[0];
  }

  /** Give the timbre to a track, all of them or the keyboard; its model is chosen first. */
  use(taker: number): void {
    if (!this.usable) return;
    if (!this.fits) {
      this.wanted = taker;
      return this.stage.choose(this.models.with(this.model));
    }
    if (taker !== this.piece.selected) this.piece.select(taker);
    this.models.space?.putAmid(this.usable);
    this.piece.setTimbre(constantTimbre(this.usable));
    this.stage.say("The timbre plays.");
  }

  /** Another model is there, or could not be loaded. */
  modelChanged(): void {
    const { wanted } = this;
    this.wanted = null;
    if (wanted !== null && this.fits && this.takers.includes(wanted)) this.use(wanted);
  }

  /** Put the notes into the roll. */
  openNotes(): void {
    const found = this.notes?.found;
    if (!found) return;
    this.stage.openNotes(`${this.stem}.mid`, midiFile(found));
    this.piecesNumber = this.piece.number;
  }

  saveNotes(): void {
    const content = midiFile(this.notes!.found!) as Uint8Array<ArrayBuffer>;
    download(`${this.stem}.mid`, new Blob([content], { type: "audio/midi" }));
  }

  saveTimbre(): void {
    const content = timbreFile(constantTimbre(this.usable!), this.models.writtenOf(this.model));
    download(`${this.stem}.timbre`, new Blob([content], { type: "application/json" }));
  }

  private async hearTimbre(sound: Sound): Promise<void> {
    const { encoder } = this.models;
    this.model = encoder?.config.mel2mel ?? "";
    const points = this.instruments.map(({ embedding }) => embedding);
    const heard = await this.hear("timbre", sound, encoder, points);
    if (!heard) return;
    const { found, remarks } = heard;
    const silent = found ? [] : ["is silent, so there is no timbre to hear"];
    const short = sound.seconds < SHORT_S ? [TOO_SHORT] : [];
    this.timbre = { progress: null, found, remarks: [...remarks, ...silent, ...short] };
    this.stage.say(found ? `It sounds like ${this.likely[0].name}.` : "It is silent.");
  }

  private async hearNotes(sound: Sound): Promise<void> {
    const heard = await this.hear("notes", sound, this.models.transcriber, []);
    if (!heard) return;
    this.keep(heard);
    this.openNotes();
  }

  private keep({ transcription, remarks }: Heard<"notes">): void {
    const found = transcription?.notes.length ? transcription : null;
    const none = transcription
      ? "nothing like notes was heard; is it speech, noise or drums?"
      : "is silent, so there are no notes";
    this.notes = { progress: null, found, remarks: found ? remarks : [...remarks, none] };
    this.stage.say(found ? `${found.notes.length} notes were heard.` : "No notes were heard.");
  }

  /** What is heard; null where that fails, which is said, or where the sound was closed meanwhile. */
  private async hear<W extends Wish>(
    wish: W,
    sound: Sound,
    entry: BundleEntry | null,
    points: Point[],
  ): Promise<Heard<W> | null> {
    const isOpen = () => this.sound === sound;
    const told = (progress: number) => {
      if (isOpen()) this[wish] = { progress, found: null, remarks: [] };
    };
    told(0);
    try {
      if (!entry) throw new Error(`this page has no model that hears ${wish}`);
      const { channels, sampleRate } = sound;
      const heard = await this.ear.hear(wish, { channels, sampleRate, entry, points }, told);
      return isOpen() ? heard : null;
    } catch (error) {
      if (isOpen()) {
        this[wish] = null;
        this.stage.complain(`${this.name}: ${(error as Error).message}`);
      }
      return null;
    }
  }

  private get stem(): string {
    return this.name.replace(/\.[^.]+$/, "");
  }
}
