// What the page knows: what is open and what is chosen, and what the engine says of it. Playing, paths
// and what can be taken away have modules of their own.

import { isSound } from "../audio/decoding";
import { Speaker, sharedRing } from "../audio/speaker";
import constants from "../constants.json";
import type { Downloads } from "../engine/downloads";
import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import type { FromEngine, Tell } from "../engine/messages";
import { FULL, type Quality } from "../engine/quality";
import { parseMidi } from "../score/midi";
import { playable } from "../score/abilities";
import { phraseTrack } from "../score/phrase";
import { leftOut, type Score } from "../score/score";
import { parseTimbre, parseTimbreFile, type Reading } from "../timbre/grammar";
import { constantTimbre, type Point, type Timbre } from "../timbre/timbre";
import { linkParameters, missingFeature } from "./browser";
import { Export } from "./export.svelte";
import { Ear, type Heard } from "../hearing/ear";
import { Hearing } from "./hearing.svelte";
import { Live } from "./live.svelte";
import { Models, type Choice } from "./models.svelte";
import { Path } from "./path.svelte";
import { fileTimbres, KEYBOARD, NO_NOTES, Piece, type Source } from "./piece.svelte";
import { Preview } from "./preview.svelte";
import { Transport, type Programme } from "./transport.svelte";

const TAKE = "Microphone take";
const PHRASE_TITLE = "A short phrase";
const PHRASE: Score = { ...NO_NOTES, tracks: [phraseTrack(false)] };
const BEAT: Score = { ...NO_NOTES, tracks: [phraseTrack(true)] };

/** What is heard in a timbre for a moment: on drums, on another instrument, or on what is selected. */
export interface Trial {
  point: Point;
  isKit: boolean;
}

export class Session {
  phase = $state<"loading" | "ready" | "failed">("loading");
  message = $state("");
  notice = $state("");
  announcement = $state("");
  /** Whether the keyboard plays along with the piece. */
  playAlong = $state(false);
  /** What plays for a moment instead of the piece. */
  private interlude = $state<"phrase" | "keyboard" | null>(null);
  private trial = $state.raw<Trial | null>(null);
  /** Where the piece was left for that. */
  private leftAt = $state(0);

  quality = $state.raw<Quality>(FULL);
  loadMs = $state(0);
  threads = $state(1);
  readonly isolated = self.crossOriginIsolated;

  readonly models = new Models();
  readonly piece = new Piece(() => this.transport.changed());
  readonly transport: Transport;
  readonly path: Path;
  readonly export: Export;
  readonly preview: Preview;
  readonly hearing: Hearing;
  readonly live: Live;

  /** Of the piece, also while something else plays. */
  seconds = $derived.by(() => (this.interlude ? this.leftAt : this.transport.seconds));
  auditioning = $derived(this.interlude === "phrase");
  title = $derived.by(() => (this.auditioning ? PHRASE_TITLE : this.piece.title));
  /** What is seen and played. */
  programme = $derived.by<Programme>(() => {
    if (this.interlude) {
      const shaped = { point: this.path.point, isKit: this.piece.isKit };
      const { point, isKit } = this.trial ?? shaped;
      const timbre = constantTimbre(point);
      return this.interlude === "phrase"
        ? {
            piece: null,
            score: isKit ? BEAT : PHRASE,
            timbres: [timbre],
            heard: [true],
            live: null,
          }
        : { piece: null, score: NO_NOTES, timbres: [], heard: [], live: timbre };
    }
    const { number, score, voices, heard, timbre } = this.piece;
    const timbres = voices.map((voice) => this.path.played(voice.timbre));
    // The keyboard plays in the timbre that is shaped.
    const live = this.playAlong || !score.tracks.length ? this.path.played(timbre) : null;
    return { piece: number, score, timbres, heard, live };
  });
  /** Whether what is selected sounds, so that the way it takes can be recorded. */
  canRecord = $derived.by(() => {
    const sounds = this.piece.selected !== KEYBOARD || this.playAlong;
    return this.transport.playing && !this.interlude && sounds;
  });

  private readonly tell: Tell;
  private readonly shared = sharedRing();
  private preparing: ReturnType<typeof Speaker.prepare> | null = null;
  private readonly linked = linkParameters();
  /** The piece that was open when playing by microphone began. */
  private pieceBefore = 0;
  private keysTold: Promise<void> = Promise.resolve();

  constructor(
    private readonly worker: Worker,
    private readonly downloads: Downloads,
  ) {
    const say = (words: string) => this.say(words);
    const complain = (words: string) => (this.message = words);
    this.tell = (message, transfer = []) => worker.postMessage(message, transfer);
    this.transport = new Transport(this.tell, () => this.programme, complain);
    this.path = new Path(this.models, this.piece, this, this.tell, say);
    this.export = new Export(this.models, this.piece, this.path, this.transport, this.tell);
    this.preview = new Preview(this.tell, () => this.hasTimeForPictures);
    const ear = new Ear(() => this.downloads.runtime);
    this.hearing = new Hearing(this.models, this.piece, ear, {
      openNotes: (name, midi) => this.open({ kind: "file", name }, parseMidi(midi)),
      choose: (choice) => this.choose(choice),
      complain,
      say,
    });
    this.live = new Live(ear, this.models, this.transport, {
      begin: () => this.beginTake(),
      playKeys: () => this.playKeys(),
      restKeys: () => this.restKeys(),
      key: (pitch, velocity) => this.key(pitch, velocity),
      take: (heard) => this.takeNotes(heard),
      say,
    });
  }

  async begin(): Promise<void> {
    const missing = missingFeature();
    if (missing) return this.fail(missing);
    this.worker.onmessage = ({ data }: MessageEvent<FromEngine>) => this.hear(data);
    this.worker.onerror = () =>
      this.fail("the engine cannot be started; is this browser up to date?");
    try {
      const manifest = await this.downloads.manifest;
      // The page is drawn while the models are on their way.
      this.models.offer(manifest);
      this.piece.cast([], constantTimbre(this.models.melodic[0].embedding));
      this.downloads
        .handOver(this.tell, this.shared)
        .catch((error: Error) => this.fail(error.message));
      this.preparing = Speaker.prepare(this.shared);
      this.preparing.catch(() => {}); // until it is wanted
      const wanted = manifest.tunes.find(({ name }) => name === this.linked.get("tune"));
      await this.openTune((wanted ?? manifest.tunes[0]).name);
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  // What is open

  async openTune(name: string): Promise<void> {
    const tune = this.models.manifest!.tunes.find((one) => one.name === name)!;
    try {
      const response = await fetch(tune.path);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      this.open({ kind: "tune", name }, parseMidi(new Uint8Array(await response.arrayBuffer())));
    } catch (error) {
      this.message = `${name} cannot be loaded: ${(error as Error).message}`;
    }
  }

  async openFile(file: File): Promise<void> {
    if (isSound(file)) return this.hearing.open(file);
    try {
      if (file.name.toLowerCase().endsWith(".timbre")) {
        const read = parseTimbreFile(await file.text(), this.path.written);
        this.piece.setTimbre(read.timbre);
        this.remark(read);
        this.say(`Loaded the timbre ${file.name}.`);
        return;
      }
      if (file.size > constants.maxFileBytes) {
        const limit = constants.maxFileBytes / 2 ** 20;
        throw new Error(`is larger than ${limit} MiB, the limit for MIDI files`);
      }
      const score = parseMidi(new Uint8Array(await file.arrayBuffer()));
      const played = playable(score, this.models.abilities);
      if (!played.tracks.length) {
        throw new Error(`has no notes that can be played. ${leftOut(played)}`);
      }
      const wasPlaying = this.transport.playing;
      this.open({ kind: "file", name: file.name }, score);
      if (wasPlaying || this.transport.audible) await this.play();
    } catch (error) {
      this.message = `${file.name} ${(error as Error).message}`;
    }
  }

  private open(source: Source, score: Score): void {
    this.message = "";
    void this.live.finish(); // it would hear what is opened
    this.interlude = null;
    this.transport.waits = true;
    this.piece.open(source, score, this.models.abilities);
    this.notice = leftOut(this.piece.score);
    this.transport.seconds = 0;
    if (this.phase === "ready") this.cast();
  }

  /** Each track gets the instrument nearest to its program, or what the link says. */
  private cast(): void {
    const common = this.fromLink("timbre");
    const timbres = fileTimbres(this.piece.score, this.models.instruments);
    const { tracks } = this.piece.score;
    const wished = (i: number) => this.fromLink(`t${i + 1}`) ?? (tracks[i].isKit ? null : common);
    this.piece.cast(timbres.map((own, i) => wished(i) ?? own));
    for (const key of [...this.linked.keys()]) this.linked.delete(key);
    this.transport.cue(0);
  }

  /** Say what should be known of a timbre that was read. */
  private remark({ remarks }: Reading): void {
    const words = remarks.map((remark) => `${remark[0].toUpperCase()}${remark.slice(1)}.`);
    this.notice = [this.notice, ...words].filter(Boolean).join(" ");
  }

  private fromLink(key: string): Timbre | null {
    const text = this.linked.get(key);
    if (text === null) return null;
    try {
      const read = parseTimbre(text, this.models.instruments);
      this.remark(read);
      return read.timbre;
    } catch (error) {
      this.message = `The link's ${(error as Error).message}`;
      return null;
    }
  }

  // What is played

  async toggle(): Promise<void> {
    await (this.transport.playing ? this.stop() : this.play());
  }

  async play(): Promise<void> {
    if (this.phase === "ready") await this.transport.play();
  }

  stop(): void {
    this.silence();
    void this.live.finish();
  }

  private silence(): void {
    this.transport.stop();
    this.rest();
  }

  seek(seconds: number): void {
    this.transport.seek(seconds);
  }

  /**
   * Hear a phrase in the timbre that is shaped, or in another one for a trial; the piece comes back
   * when it is stopped or over.
   */
  async audition(trial: Trial | null = null): Promise<void> {
    if (!trial) this.announce();
    if (this.phase !== "ready" || (this.transport.playing && !this.auditioning)) return;
    this.trial = trial;
    this.playInstead("phrase");
    await this.play();
  }

  /** Hear a phrase or a beat in a timbre, also while the piece plays, which then stops. */
  async tryOut(trial: Trial): Promise<void> {
    if (this.transport.playing) this.stop();
    await this.audition(trial);
  }

  /** Give what is selected an instrument and hear it; one that cannot play it is heard alone. */
  chooseInstrument(instrument: Instrument): void {
    const { embedding } = instrument;
    const drums = isKit(instrument);
    this.preview.show(embedding, drums);
    if (drums !== this.piece.isKit) {
      this.audition({ point: embedding, isKit: drums });
      return;
    }
    this.path.moveTo([...embedding]);
    this.announce();
    if (this.path.breakpoint === null) this.audition();
  }

  /** Read a timbre that was typed, and give it to what is selected. */
  spell(text: string): void {
    try {
      const read = parseTimbre(text, this.path.palette);
      this.piece.setTimbre(read.timbre);
      this.remark(read);
      this.message = "";
      this.audition();
    } catch (error) {
      this.message = `The ${(error as Error).message}`;
    }
  }

  /** One after the other: a key that goes up while its stroke wakes the sound is not told first. */
  key(pitch: number, velocity: number): Promise<void> {
    const told = this.keysTold.then(() => this.tellKey(pitch, velocity));
    this.keysTold = told.catch(() => {});
    return told;
  }

  private async tellKey(pitch: number, velocity: number): Promise<void> {
    if (this.phase !== "ready") return;
    if (velocity > 0 && !this.transport.playing) {
      // The keyboard alone: time goes on in silence until a key is struck.
      if (!this.playAlong) this.playInstead("keyboard");
      await this.play();
    }
    await this.transport.key(pitch, velocity);
  }

  /** The microphone would hear what plays, unless it is to play along. */
  private beginTake(): void {
    if (this.transport.playing && !this.playAlong) this.silence();
    this.pieceBefore = this.piece.number;
  }

  /** Have keys heard from now on, with the piece or alone. */
  private async playKeys(): Promise<void> {
    if (!this.playAlong) {
      if (this.transport.playing) this.silence();
      this.playInstead("keyboard");
    }
    if (!this.transport.playing) await this.play();
  }

  /** The keyboard alone is not played any more. */
  private restKeys(): void {
    if (this.interlude === "keyboard") this.silence();
  }

  /** The notes become the piece, in the timbre in which they were played, where no other is wanted. */
  private takeNotes(heard: Heard<"notes">): void {
    const opens = !this.playAlong && this.pieceBefore === this.piece.number;
    const { point } = this.path;
    const { isKit: drums } = this.piece;
    this.hearing.take(TAKE, heard, opens);
    if (this.hearing.isOpen && !drums) this.piece.setTimbre(constantTimbre(point));
  }

  setPlayAlong(on: boolean): void {
    this.playAlong = on;
    this.transport.cue(this.transport.seconds);
  }

  private playInstead(what: "phrase" | "keyboard"): void {
    if (!this.interlude) this.leftAt = this.transport.seconds;
    this.interlude = what;
    this.transport.cue(0);
  }

  private ended(order: number): void {
    if (!this.transport.ended(order)) return;
    this.rest();
    void this.live.finish(); // or its next note would begin the piece anew
  }

  /** Nothing plays any more: a recorded path is complete, and what was left for a moment comes back. */
  private rest(): void {
    this.path.endRecording();
    if (!this.interlude) return;
    this.interlude = null;
    this.trial = null;
    this.transport.cue(this.leftAt);
  }

  // What is chosen, shown and said

  choose({ model, vocoder }: Choice): void {
    this.models.changing = true;
    this.tell({ kind: "voice", model, vocoder, aside: false });
  }

  private get hasTimeForPictures(): boolean {
    const { playing, rendering } = this.transport;
    return this.phase === "ready" && !rendering && !(this.quality.light && playing);
  }

  announce(): void {
    this.say(this.path.words);
  }

  say(words: string): void {
    this.announcement = words;
  }

  private fail(message: string): void {
    this.phase = "failed";
    this.message = message[0].toUpperCase() + message.slice(1);
  }

  private async hear(told: FromEngine): Promise<void> {
    switch (told.kind) {
      case "ready":
        return this.ready(told);
      case "cued":
        return;
      case "failed":
        return this.failed(told);
      case "position":
        return this.transport.positioned(told);
      case "mel":
        return this.transport.mel.add(told.frame, told.nMels, told.mel);
      case "changed":
        return this.transport.changeHeard(told);
      case "quality":
        this.quality = told.quality;
        return;
      case "ended":
        return this.ended(told.order);
      case "preview":
        return this.preview.computed(told);
      case "recording":
        if (told.timbre) this.path.recorded(told.timbre);
        return;
      case "export":
        return this.export.told(told);
      case "render":
        return this.transport.renders(told);
      case "starved":
        // A hand whose way is recorded would rather hear gaps than wait.
        return this.transport.waits && !this.path.recording ? this.transport.buffer() : undefined;
    }
  }

  private failed({ message, fatal, during }: Extract<FromEngine, { kind: "failed" }>): void {
    this.models.changing = false;
    if (during === "voice") {
      this.models.coming = "";
      this.hearing.modelChanged();
    }
    if (during === "export") this.export.failed();
    if (during === "render") this.transport.cancelRender();
    if (fatal) this.fail(message);
    else this.message = message;
  }

  private async ready(told: Extract<FromEngine, { kind: "ready" }>): Promise<void> {
    const before = this.models.instruments;
    const otherSpace = this.models.model !== told.model;
    this.models.chosen(told.model, told.vocoder);
    if (this.export.capturing && this.transport.sampleRate !== told.sampleRate) {
      await this.export.toggleCapture(); // a recording has one rate
    }
    this.transport.sampleRate = told.sampleRate;
    this.threads = told.threads;
    if (otherSpace) {
      this.piece.adapt(before, this.models.instruments, this.models.abilities);
      this.notice = leftOut(this.piece.score);
    }
    if (this.phase !== "loading") {
      if (this.piece.voices.length) this.transport.cue(this.transport.seconds, true);
      else if (this.piece.score.tracks.length) this.cast();
      this.hearing.modelChanged();
      return;
    }
    try {
      const { speaker, port } = await this.preparing!;
      this.transport.connect(speaker, port);
    } catch (error) {
      return this.fail(`audio output cannot be opened (${(error as Error).message})`);
    }
    this.loadMs = performance.now();
    this.phase = "ready";
    const { default_model, default_vocoder } = this.models.manifest!;
    const model = this.linked.get("model") ?? default_model;
    const own = model === default_model ? default_vocoder : this.models.with(model).vocoder;
    const choice = { model, vocoder: this.linked.get("vocoder") ?? own };
    const isOther = model !== told.model || choice.vocoder !== told.vocoder;
    const isWished = this.linked.has("model") || this.linked.has("vocoder");
    if (isOther && isWished) return this.choose(choice);
    if (this.piece.score.tracks.length) this.cast();
    // The default is better than what came first: it is loaded while that can be played already.
    if (isOther) {
      this.models.coming = model;
      this.tell({ kind: "voice", ...choice, aside: true });
    }
  }
}
