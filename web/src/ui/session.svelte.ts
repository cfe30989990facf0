// All that the page knows and does; the components show it and call it.

import { Speaker, sharedRing } from "../audio/speaker";
import { wavFile } from "../audio/wav";
import type { BundleConfig, Instrument, Manifest } from "../engine/bundle";
import type { Downloads } from "../engine/downloads";
import type { FromEngine, ToEngine } from "../engine/messages";
import constants from "../constants.json";
import { FULL, type Quality } from "../engine/quality";
import { parseMidi } from "../score/midi";
import { duration, leftOut, type Note, type Score } from "../score/score";
import {
  asMix,
  constantTimbre,
  mixed,
  drawn,
  nearestInstrument,
  parseTimbre,
  parseTimbreFile,
  repeated,
  simplified,
  thinned,
  timbreAt,
  timbreFile,
  timbreSpec,
  type Point,
  type Timbre,
} from "../timbre/timbre";
import { TimbreMap } from "../timbre/map";
import { inWords } from "../timbre/words";
import { MelHistory } from "./mel_history";

export const ALL_TRACKS = -1;
export const GRIFFIN_LIM = "griffin-lim";
/** More breakpoints than a hand can take are not shown one by one. */
export const MOST_BREAKPOINTS = 60;
const DRAWN_TOLERANCE = 0.005; // of the map's width
const PHRASE_TITLE = "A short phrase";

export interface Voice {
  timbre: Timbre;
  muted: boolean;
  solo: boolean;
}

export interface Preview {
  mel: Float32Array;
  nMels: number;
}

/** Where a piece came from: a link can name bundled tunes only. */
type Source = { kind: "tune"; name: string } | { kind: "file"; name: string } | { kind: "phrase" };

const EMPTY: Score = { tracks: [], pedalEvents: 0, unplayable: {} };

export class Session {
  phase = $state<"loading" | "ready" | "failed">("loading");
  manifest = $state.raw<Manifest | null>(null);
  model = $state("");
  vocoder = $state("");
  changingVoice = $state(false);

  source = $state.raw<Source>({ kind: "phrase" });
  score = $state.raw<Score>(EMPTY);
  voices = $state<Voice[]>([]);
  selected = $state(ALL_TRACKS);
  /** The keyboard's own timbre. */
  keys = $state.raw<Timbre>(constantTimbre([0, 0]));
  playAlong = $state(false);

  playing = $state(false);
  seconds = $state(0);
  loop = $state(false);
  recordingPath = $state(false);
  repeatPath = $state(false);
  /** Whether the next stroke on the map becomes a path. */
  drawing = $state(false);
  /** The breakpoint of the shown path that the map and the mixer move. */
  breakpoint = $state<number | null>(null);
  capturing = $state(false);
  exportProgress = $state<number | null>(null);
  exportSecondsLeft = $state<number | null>(null);
  /** The vocoder of the WAV, where it is to be another than the one that is heard. */
  wavVocoder = $state<string | null>(null);

  message = $state("");
  notice = $state("");
  announcement = $state("");
  preview = $state.raw<Preview | null>(null);

  quality = $state.raw<Quality>(FULL);
  loadMs = $state(0);
  threads = $state(1);
  sampleRate = $state(16000);
  realTimeFactor = $state(0);
  ahead = $state(0);
  underruns = $state(0);
  changeMs = $state<number | null>(null);
  readonly isolated = self.crossOriginIsolated;

  readonly mel = new MelHistory();
  /** For those who measure the page: the listener's place in the ring, and when it was told. */
  read = 0;

  /** Counts changes of what the pictures show beside the position. */
  lookVersion = 0;

  private readonly shared = sharedRing();
  private preparing: ReturnType<typeof Speaker.prepare> | null = null;
  private speaker: Speaker | null = null;
  private positionAt = 0;
  private recordFrom = 0;
  private beforeAudition: {
    source: Source;
    score: Score;
    voices: Voice[];
    seconds: number;
  } | null = null;
  private waiting = false;
  private pendingPreview: Point | null = null;
  private readonly linked = new URLSearchParams(location.hash.slice(1));

  config = $derived<BundleConfig | null>(
    this.manifest?.models.find(({ config }) => config.name === this.model)?.config ?? null,
  );
  instruments = $derived<Instrument[]>(this.config?.instruments ?? []);
  map = $derived.by<TimbreMap | null>(() => {
    const data = this.manifest?.models.find(({ config }) => config.name === this.model)?.map;
    return data ? new TimbreMap(data, this.instruments) : null;
  });
  models = $derived(this.namesOf("mel2mel"));
  vocoders = $derived([...this.namesOf("parallel"), GRIFFIN_LIM]);
  /** They make WAV files only. */
  waveNets = $derived(this.namesOf("wavenet"));
  exportVocoder = $derived(this.wavVocoder ?? this.vocoder);
  duration = $derived(duration(this.score));
  auditioning = $derived(this.source.kind === "phrase" && this.score.tracks.length > 0);
  title = $derived(this.source.kind === "phrase" ? PHRASE_TITLE : this.source.name);
  /** The point that the map and the mixer show: the selected track's, where the listener is. */
  point = $derived.by<Point>(() => {
    return timbreAt(this.played(this.path), this.seconds);
  });
  words = $derived(
    this.instruments.length && this.point.length === this.instruments[0].embedding.length
      ? inWords(this.point, this.instruments, this.map)
      : "",
  );
  /** The timbre that the map, the mixer and the path are about. */
  path = $derived<Timbre>((this.voices[this.selected] ?? this.voices[0])?.timbre ?? this.keys);
  command = $derived.by(() => this.renderCommand());

  constructor(
    private readonly worker: Worker,
    private readonly downloads: Downloads,
  ) {}

  async begin(): Promise<void> {
    const missing = missingFeature();
    if (missing) return this.fail(missing);
    this.worker.onmessage = ({ data }: MessageEvent<FromEngine>) => this.hear(data);
    this.worker.onerror = () =>
      this.fail("the engine cannot be started; is this browser up to date?");
    try {
      const manifest = await this.downloads.manifest;
      // The page is drawn while the models are on their way.
      this.manifest = manifest;
      this.model = manifest.default_model;
      this.vocoder = manifest.default_vocoder;
      this.keys = constantTimbre(this.instruments[0].embedding);
      this.downloads
        .handOver((message, transfer) => this.tell(message, transfer), this.shared)
        .catch((error: Error) => this.fail(error.message));
      const { mel } = manifest.models.find(
        ({ config }) => config.name === manifest.default_model,
      )!.config;
      this.preparing = Speaker.prepare(mel.sample_rate, this.shared);
      this.preparing.catch(() => {}); // until it is wanted
    } catch (error) {
      return this.fail((error as Error).message);
    }
    const [first] = this.manifest!.tunes;
    const wanted =
      this.manifest!.tunes.find(({ name }) => name === this.linked.get("tune")) ?? first;
    await this.openTune(wanted.name);
  }

  // What is played

  async openTune(name: string): Promise<void> {
    const tune = this.manifest!.tunes.find((one) => one.name === name)!;
    try {
      const response = await fetch(tune.path);
      if (!response.ok) throw new Error(`the server says ${response.status}`);
      this.open({ kind: "tune", name }, parseMidi(new Uint8Array(await response.arrayBuffer())));
    } catch (error) {
      this.message = `${name} cannot be loaded: ${(error as Error).message}`;
    }
  }

  async openFile(file: File): Promise<void> {
    try {
      if (file.name.toLowerCase().endsWith(".timbre")) {
        this.setTimbre(parseTimbreFile(await file.text(), this.instruments));
        this.say(`${file.name} is the timbre now.`);
        return;
      }
      if (file.size > constants.maxFileBytes) {
        const limit = constants.maxFileBytes / 2 ** 20;
        throw new Error(`is larger than ${limit} MiB, up to which MIDI files are read`);
      }
      const score = parseMidi(new Uint8Array(await file.arrayBuffer()));
      if (!score.tracks.length) {
        throw new Error(`has no notes that can be played. ${leftOut(score)}`);
      }
      const wasPlaying = this.playing;
      this.open({ kind: "file", name: file.name }, score);
      if (wasPlaying || !this.speaker?.suspended) await this.play();
    } catch (error) {
      this.message = `${file.name} ${(error as Error).message}`;
    }
  }

  private open(source: Source, score: Score): void {
    this.message = "";
    this.notice = leftOut(score);
    this.source = source;
    this.score = score;
    this.selected = ALL_TRACKS;
    this.breakpoint = null;
    this.seconds = 0;
    this.beforeAudition = null;
    this.voices = [];
    if (this.phase === "ready") this.chooseVoices();
  }

  /** Each track gets the instrument nearest to its program, or what the link says. */
  private chooseVoices(): void {
    const link = (key: string) => this.fromLink(key);
    const common = link("timbre");
    this.voices = this.score.tracks.map((track, i) => ({
      timbre:
        link(`t${i + 1}`) ??
        common ??
        constantTimbre(nearestInstrument(track.program, this.instruments).embedding),
      muted: false,
      solo: false,
    }));
    for (const key of [...this.linked.keys()]) this.linked.delete(key);
    if (
      !this.keys.points[0] ||
      this.keys.points[0].length !== this.instruments[0].embedding.length
    ) {
      this.keys = constantTimbre(this.instruments[0].embedding);
    }
    this.cue(0);
  }

  private fromLink(key: string): Timbre | null {
    const text = this.linked.get(key);
    if (text === null) return null;
    try {
      return parseTimbre(text, this.instruments);
    } catch (error) {
      this.message = `The link's ${(error as Error).message}`;
      return null;
    }
  }

  // Transport

  async toggle(): Promise<void> {
    await (this.playing ? this.stop() : this.play());
  }

  async play(): Promise<void> {
    if (this.phase !== "ready") return;
    await this.wakeUp();
    if (this.duration > 0 && this.seconds >= this.duration + constants.releaseS - 0.05) this.cue(0);
    this.playing = true;
    this.tell({ kind: "play", playing: true });
  }

  stop(): void {
    this.playing = false;
    this.tell({ kind: "play", playing: false });
    if (this.recordingPath) this.toggleRecording();
    this.endAudition();
  }

  seek(seconds: number): void {
    this.cue(Math.max(0, Math.min(seconds, this.duration)));
  }

  setLoop(loop: boolean): void {
    this.loop = loop;
    this.tell({ kind: "loop", loop });
  }

  private async wakeUp(): Promise<void> {
    try {
      await this.speaker!.resume();
    } catch {
      // The next line says it in words.
    }
    if (this.speaker!.suspended) {
      this.message =
        "The browser holds the sound back. Press Play again, or allow sound for this page.";
    }
  }

  private cue(seconds: number): void {
    this.lookVersion++;
    this.seconds = seconds;
    this.mel.clear();
    const live = this.playAlong || !this.score.tracks.length ? $state.snapshot(this.keys) : null;
    this.tell({
      kind: "score",
      tracks: this.score.tracks,
      timbres: this.allTimbres(),
      heard: this.heard(),
      seconds,
      live: live as Timbre | null,
    });
  }

  private heard(): boolean[] {
    const solo = this.voices.some((voice) => voice.solo);
    return this.voices.map((voice) => (solo ? voice.solo : !voice.muted));
  }

  private allTimbres(): Timbre[] {
    return this.voices.map(({ timbre }) => this.played($state.snapshot(timbre) as Timbre));
  }

  /** A path as it is played: again and again if that is wished. */
  private played(timbre: Timbre): Timbre {
    if (!this.repeatPath || timbre.times.length < 2) return timbre;
    const period = timbre.times[timbre.times.length - 1];
    return period > 0.1 ? repeated(timbre, period, this.duration + constants.releaseS) : timbre;
  }

  changed(): void {
    this.lookVersion++;
    const timbres = this.allTimbres();
    const live = $state.snapshot(this.keys) as Timbre;
    this.tell({ kind: "change", timbres: [...timbres, live], heard: this.heard() });
  }

  // Timbre

  /** Move the chosen breakpoint, or else the selected tracks and with all of them the keyboard. */
  moveTo(point: Point): void {
    if (this.breakpoint !== null) this.setBreakpoint(this.breakpoint, point);
    else this.setTimbre(constantTimbre(point));
  }

  moveToMix(shares: { name: string; share: number }[]): void {
    const known = shares
      .map(({ name, share }) => ({
        instrument: this.instruments.find((one) => one.name === name)!,
        share,
      }))
      .filter(({ share }) => share > 0);
    if (known.length) this.moveTo(mixed(known));
  }

  setTimbre(timbre: Timbre): void {
    if (this.breakpoint !== null && this.breakpoint >= timbre.times.length) this.breakpoint = null;
    const chosen = this.voices[this.selected];
    if (chosen) chosen.timbre = timbre;
    else {
      // All tracks are meant, or something else is played for a moment.
      for (const voice of this.voices) voice.timbre = timbre;
      this.keys = timbre;
    }
    this.changed();
  }

  setTrackTimbre(track: number, point: Point): void {
    this.voices[track].timbre = constantTimbre(point);
    this.changed();
  }

  toggleMute(track: number): void {
    this.voices[track].muted = !this.voices[track].muted;
    this.changed();
  }

  toggleSolo(track: number): void {
    this.voices[track].solo = !this.voices[track].solo;
    this.changed();
  }

  announce(): void {
    this.announcement = this.words;
  }

  /** Hear a phrase in a timbre; what was open comes back when it is stopped or over. */
  async audition(): Promise<void> {
    this.announce();
    if (this.phase !== "ready" || (this.playing && !this.auditioning)) return;
    const { point } = this;
    if (!this.auditioning) {
      const { source, score, seconds } = this;
      this.beforeAudition = { source, score, voices: this.voices, seconds };
      this.source = { kind: "phrase" };
      this.score = {
        ...EMPTY,
        tracks: [
          {
            name: "phrase",
            program: 0,
            channel: 0,
            notes: phrase(),
            gain: { times: [0], values: [1] },
            pan: { times: [0], values: [0] },
          },
        ],
      };
    }
    this.voices = [{ timbre: constantTimbre(point), muted: false, solo: false }];
    this.cue(0);
    await this.play();
  }

  private endAudition(): void {
    const before = this.beforeAudition;
    if (!before) return;
    // The timbre that was found is kept where all tracks were meant.
    const found = this.voices[0]?.timbre ?? null;
    this.beforeAudition = null;
    this.source = before.source;
    this.score = before.score;
    this.voices = before.voices;
    const target = this.selected === ALL_TRACKS ? this.voices : [this.voices[this.selected]];
    for (const voice of found ? target : []) {
      if (voice.timbre.times.length === 1) voice.timbre = found!;
    }
    this.cue(before.seconds);
  }

  showPreview(point: Point): void {
    if (this.quality.light && this.playing) return;
    if (this.phase !== "ready" || this.waiting) {
      this.pendingPreview = point;
      return;
    }
    this.waiting = true;
    this.tell({ kind: "preview", point: [...point] });
  }

  // Paths

  addBreakpoint(): void {
    this.editPath((timbre) => {
      const time = this.quantised(this.seconds);
      const point = timbreAt(timbre, time);
      const others = timbre.times.map((t, i) => ({ time: t, point: timbre.points[i] }));
      const rest = others.filter((one) => Math.abs(one.time - time) > 1e-3);
      const all = [...rest, { time, point }].sort((a, b) => a.time - b.time);
      return { times: all.map((one) => one.time), points: all.map((one) => one.point) };
    });
  }

  moveBreakpoint(index: number, time: number): void {
    this.editPath(({ times, points }) => {
      const low = index > 0 ? times[index - 1] + 0.01 : 0;
      const high = index < times.length - 1 ? times[index + 1] - 0.01 : Infinity;
      const moved = Math.min(Math.max(time, low), high);
      return { times: times.map((old, i) => (i === index ? moved : old)), points };
    });
  }

  setBreakpoint(index: number, point: Point): void {
    this.editPath(({ times, points }) => ({
      times,
      points: points.map((old, i) => (i === index ? point : old)),
    }));
  }

  removeBreakpoint(index: number): void {
    this.editPath(({ times, points }) =>
      times.length === 1
        ? { times, points }
        : {
            times: times.filter((_, i) => i !== index),
            points: points.filter((_, i) => i !== index),
          },
    );
  }

  clearPath(): void {
    this.breakpoint = null;
    this.moveTo([...this.point]);
  }

  /** Hear and see the path at one of its breakpoints, which is moved from now on; null ends that. */
  chooseBreakpoint(index: number | null): void {
    this.breakpoint = index;
    if (index !== null) this.seek(Math.min(this.path.times[index], this.duration));
  }

  toggleDrawing(): void {
    this.drawing = !this.drawing;
    this.breakpoint = null;
  }

  /** A stroke on the map is a path that begins at the playhead; the hand's time is the path's. */
  setDrawn(stroke: { time: number; point: Point }[]): void {
    const path = drawn(stroke);
    const width = this.map!.x[1] - this.map!.x[0];
    this.setTimbre(thinned(path, DRAWN_TOLERANCE * width, MOST_BREAKPOINTS));
    this.drawing = false;
    this.say(`A path with ${this.path.times.length} points was drawn.`);
  }

  /** Leave as many breakpoints of a recorded path as can be taken one by one. */
  thinPath(): void {
    const points = this.path.points.map(([first]) => first);
    const span = Math.max(...points) - Math.min(...points);
    this.editPath((timbre) => thinned(timbre, DRAWN_TOLERANCE * span, MOST_BREAKPOINTS));
  }

  setRepeat(repeat: boolean): void {
    this.repeatPath = repeat;
    this.changed();
  }

  private editPath(edit: (timbre: Timbre) => Timbre): void {
    this.setTimbre(edit($state.snapshot(this.path) as Timbre));
  }

  private quantised(seconds: number): number {
    return Math.round(seconds * constants.frameRate) / constants.frameRate;
  }

  /** Keep the way that the timbre takes while it is moved. */
  toggleRecording(): void {
    this.recordingPath = !this.recordingPath;
    if (this.recordingPath) {
      this.recordFrom = this.seconds;
      this.say("Recording the timbre's path.");
    } else {
      const track = Math.max(this.selected, 0);
      this.tell({ kind: "recording", track, from: this.recordFrom, to: this.seconds });
    }
  }

  // Voices

  async choose(model: string, vocoder: string): Promise<void> {
    this.changingVoice = true;
    this.tell({ kind: "voice", model, vocoder });
  }

  // Keyboard

  async key(pitch: number, velocity: number): Promise<void> {
    if (this.phase !== "ready") return;
    if (velocity > 0 && this.speaker?.suspended) await this.wakeUp();
    if (velocity > 0 && !this.playing) await this.playKeyboard();
    this.tell({ kind: "key", pitch, velocity });
  }

  setPlayAlong(on: boolean): void {
    this.playAlong = on;
    this.cue(this.seconds);
  }

  /** The keyboard alone: time goes on in silence until a key is struck. */
  private async playKeyboard(): Promise<void> {
    if (this.playAlong) return this.play();
    const { source, score, voices, seconds } = this;
    this.beforeAudition ??= { source, score, voices, seconds };
    this.source = { kind: "phrase" };
    this.score = EMPTY;
    this.voices = [];
    this.cue(0);
    await this.play();
  }

  // What can be taken away

  export(): void {
    this.exportProgress = 0;
    this.exportSecondsLeft = null;
    this.tell({
      kind: "export",
      tracks: this.score.tracks,
      timbres: this.allTimbres(),
      heard: this.heard(),
      vocoder: this.exportVocoder,
    });
  }

  cancelExport(): void {
    this.exportProgress = null;
    this.tell({ kind: "cancel export" });
  }

  savePath(): void {
    const timbre = this.played($state.snapshot(this.path) as Timbre);
    download(`${this.stem()}.timbre`, new Blob([timbreFile(timbre)], { type: "application/json" }));
  }

  async toggleCapture(): Promise<void> {
    this.capturing = !this.capturing;
    if (this.capturing) return this.speaker!.startRecording();
    const { left, right } = await this.speaker!.stopRecording();
    download(`${this.stem()}-played.wav`, wavFile([left, right], this.sampleRate));
  }

  /** What the worklet played since `startCapture`, for those who measure the page. */
  startCapture(): void {
    this.speaker!.startRecording();
  }

  endCapture(): Promise<{ left: Float32Array; right: Float32Array }> {
    return this.speaker!.stopRecording();
  }

  permalink(): string {
    const query = new URLSearchParams();
    if (this.source.kind === "tune") query.set("tune", this.source.name);
    if (this.model !== this.manifest?.default_model) query.set("model", this.model);
    if (this.vocoder !== this.manifest?.default_vocoder) query.set("vocoder", this.vocoder);
    const specs = this.specs();
    if (new Set(specs).size === 1) query.set("timbre", specs[0]);
    else specs.forEach((spec, i) => query.set(`t${i + 1}`, spec));
    return `${location.href.split("#")[0]}#${query}`;
  }

  private specs(): string[] {
    return this.allTimbres().map((timbre) => timbreSpec(simplified(timbre), this.instruments));
  }

  private renderCommand(): string {
    if (!this.manifest || !this.voices.length || !this.instruments.length) return "";
    const name =
      this.source.kind === "file"
        ? this.source.name
        : this.manifest.tunes
            .find((tune) => tune.name === this.title)
            ?.path.split("/")
            .pop();
    const specs = this.specs();
    const same = new Set(specs).size === 1;
    const timbres = (same ? specs.slice(0, 1) : specs.map((spec, i) => `${i + 1}=${spec}`)).map(
      (spec) => ` --timbre ${quoted(spec)}`,
    );
    const model = this.model === this.manifest.default_model ? "" : ` --model ${this.model}`;
    const vocoder =
      this.exportVocoder === this.manifest.default_vocoder
        ? ""
        : ` --vocoder ${quoted(this.exportVocoder)}`;
    return `timbrel render ${quoted(name ?? "phrase.mid")}${timbres.join("")}${model}${vocoder}`;
  }

  private stem(): string {
    return this.title
      .replace(/\.midi?$/i, "")
      .toLowerCase()
      .replace(/\s+/g, "-");
  }

  /** Shares of instruments in the point that is shown, for the mixer. */
  mix(): { name: string; share: number }[] {
    return asMix(this.point, this.instruments).shares.map(({ instrument, share }) => ({
      name: instrument.name,
      share,
    }));
  }

  say(words: string): void {
    this.announcement = words;
  }

  private namesOf(kind: string): string[] {
    return (this.manifest?.models ?? [])
      .filter(({ config }) => config.kind === kind)
      .map(({ config }) => config.name);
  }

  /** A vocoder's name for the eye. */
  labelOf(vocoder: string): string {
    const status = this.manifest?.models.find(({ config }) => config.name === vocoder)?.config
      .status;
    return status ? `${vocoder} (${status})` : vocoder;
  }

  private tell(message: ToEngine, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
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
        this.changingVoice = false;
        if (told.during === "export") this.exportProgress = null;
        if (told.fatal) this.fail(told.message);
        else this.message = told.message;
        return;
      case "position":
        this.read = told.read;
        this.realTimeFactor = told.realTimeFactor;
        this.ahead = told.ahead;
        this.underruns = told.underruns;
        if (told.playing && this.playing) this.seconds = told.seconds;
        this.positionAt = performance.now();
        return;
      case "mel":
        return this.mel.add(told.frame, told.nMels, told.mel);
      case "changed":
        this.changeMs =
          (1000 * (told.heard - told.asked)) / this.sampleRate +
          (this.speaker?.outputLatencyMs ?? 0);
        return;
      case "quality":
        this.quality = told.quality;
        return;
      case "ended":
        this.playing = false;
        if (this.recordingPath) this.toggleRecording();
        this.endAudition();
        return;
      case "preview":
        this.preview = told;
        this.waiting = false;
        if (this.pendingPreview) {
          const point = this.pendingPreview;
          this.pendingPreview = null;
          this.showPreview(point);
        }
        return;
      case "recording":
        if (told.timbre) {
          this.setTimbre(told.timbre);
          this.say(`A path with ${told.timbre.times.length} points was recorded.`);
        }
        return;
      case "export":
        if (this.exportProgress === null) return;
        this.exportProgress = told.wav ? null : told.progress;
        this.exportSecondsLeft = told.secondsLeft;
        if (told.wav) download(`${this.stem()}.wav`, told.wav);
    }
  }

  private async ready(told: Extract<FromEngine, { kind: "ready" }>): Promise<void> {
    const first = this.phase === "loading";
    const sameSpace = this.model === told.model;
    this.changingVoice = false;
    this.sampleRate = told.sampleRate;
    this.threads = told.threads;
    const before = this.voices.map(({ timbre }) => timbre);
    const mixes = sameSpace || first ? null : before.map((timbre) => this.asShares(timbre));
    this.model = told.model;
    this.vocoder = told.vocoder;
    if (first) {
      try {
        const { speaker, port } = await this.preparing!;
        this.speaker = speaker;
        if (port) this.tell({ kind: "worklet", port }, [port]);
      } catch (error) {
        return this.fail(`the browser gives no sound (${(error as Error).message})`);
      }
      this.loadMs = performance.now();
      this.phase = "ready";
      const model = this.linked.get("model") ?? told.model;
      const vocoder = this.linked.get("vocoder") ?? told.vocoder;
      if (model !== told.model || vocoder !== told.vocoder) await this.choose(model, vocoder);
      else if (this.score.tracks.length) this.chooseVoices();
      return;
    }
    if (!this.voices.length && this.score.tracks.length) return this.chooseVoices();
    // Another model has another space: its timbres are the same mixes of instruments.
    mixes?.forEach((shares, i) => (this.voices[i].timbre = this.fromShares(shares)));
    if (mixes) this.keys = constantTimbre(this.instruments[0].embedding);
    this.cue(this.seconds);
  }

  private asShares(timbre: Timbre): { times: number[]; mixes: ReturnType<Session["mix"]>[] } {
    const mixes = timbre.points.map((point) =>
      asMix(point, this.instruments).shares.map(({ instrument, share }) => ({
        name: instrument.name,
        share,
      })),
    );
    return { times: timbre.times, mixes };
  }

  private fromShares({ times, mixes }: ReturnType<Session["asShares"]>): Timbre {
    const instrumentOf = (name: string) =>
      this.instruments.find((one) => one.name === name) ?? this.instruments[0];
    const points = mixes.map((mix) =>
      mixed(mix.map(({ name, share }) => ({ instrument: instrumentOf(name), share }))),
    );
    return { times, points };
  }

  /** Where the listener is, between two messages of the engine. */
  smoothSeconds(): number {
    if (!this.playing) return this.seconds;
    return this.seconds + Math.min(performance.now() - this.positionAt, 100) / 1000;
  }
}

/** What this browser lacks, in words; empty where it lacks nothing. */
function missingFeature(): string {
  // A function that holds one SIMD instruction.
  const simd = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11,
  ];
  if (!self.isSecureContext) {
    return "browsers give sound and checks to pages over HTTPS or on this machine only; open the page that way";
  }
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(simd))) {
    return "this browser does not know WebAssembly SIMD, which the engine is made of; a current one does";
  }
  if (!("AudioWorkletNode" in self)) {
    return "this browser does not know AudioWorklet, through which the sound goes; a current one does";
  }
  if (!("DecompressionStream" in self))
    return "this browser is too old for this page; a current one is needed";
  return "";
}

function phrase(): Note[] {
  return constants.phrase.map(({ pitch, velocity, start_s, end_s }) => ({
    pitch,
    velocity,
    start: start_s,
    end: end_s,
  }));
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `"${text.replace(/(["\\$`])/g, "\\$1")}"`;
}

function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
