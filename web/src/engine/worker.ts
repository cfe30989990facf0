// The engine: a Worker that loads the models, computes and writes sound for the worklet. The page
// itself never computes.

import constants from "../constants.json";
import { Spool } from "../audio/spool";
import { WavWriter } from "../audio/wav";
import { constantTimbre, simplified, timbreAt } from "../timbre/timbre";
import { phraseTrack } from "../score/phrase";
import { plainTrack } from "../score/score";
import { rollOf } from "../score/performance_roll";
import { Arrivals } from "./arrivals";
import {
  checkedBytes,
  frameRateOf,
  loadFiles,
  receivedBytes,
  type BundleConfig,
  type BundleEntry,
  type Manifest,
} from "./bundle";
import { BufferWait } from "./buffering";
import { GRIFFIN_LIM, GriffinLim } from "./griffin_lim";
import { LoudnessMeter } from "./loudness";
import { fittedGain, mastered } from "./mastering";
import { Mel2Mel } from "./mel2mel";
import type { FromEngine, ToEngine } from "./messages";
import { Output } from "./output";
import { ParallelVocoder } from "./parallel";
import { computeAll, turn, type Taker } from "./offline";
import { Player, type LiveTrack } from "./player";
import { postFiltered } from "./post_filter";
import { Rendering } from "./rendering";
import { ort, prepareRuntime } from "./runtime";
import { aligned, type Playing } from "./source";
import { expectedGain, Stream } from "./stream";
import type { Vocoder } from "./vocoder";
import { WAVENET, WaveNet, wavenetBuild } from "./wavenet";

const POSITION_MS = 33;
const PREVIEW_PAUSE_MS = 2;
const RUNTIME = "runtime";
const SECURED_S = 4; // of sound, before something keeps the player from computing
const SHORTEST_S = 0.15; // of sound that is not touched any more where another model takes over
const LIVE_TRACK = plainTrack("keyboard");

function say(message: FromEngine, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

type Score = Extract<ToEngine, { kind: "score" }>;

class Engine {
  private readonly models = new Map<string, Promise<Mel2Mel>>();
  private readonly vocoders = new Map<string, Promise<Vocoder>>();
  private player: Player | null = null;
  private mel2mel!: Mel2Mel;
  private vocoder!: Vocoder;
  private score: Score | null = null;
  private stream: Stream | null = null;
  /** Of what is played; settled when it is opened, so that no hand on a timbre changes it. */
  private gainDb = 0;
  /** What was computed beforehand, and how it is played. */
  private rendered: {
    rendering: Rendering;
    run: number;
    piece: number;
    playing: string;
  } | null = null;
  /** That, if it is what is to be played. */
  private fitting: Rendering | null = null;
  private exporting = 0;
  private choosing = 0;
  private cueing = 0;
  private rendering = 0;
  /** What is computed before it may be played. */
  private bufferOnly: Rendering | null = null;
  private announced = false;
  /** The page's latest wish; see `ToEngine`. */
  private order = 0;

  private constructor(
    private readonly base: string,
    private readonly manifest: Manifest,
    private readonly output: Output,
  ) {}

  static async start({
    base,
    manifest,
    shared,
  }: Extract<ToEngine, { kind: "start" }>): Promise<Engine> {
    const engine = new Engine(base, manifest, new Output(shared));
    await engine.choose(manifest.first_model, manifest.first_vocoder, false);
    return engine;
  }

  connect(port: MessagePort): void {
    this.output.connect(port);
  }

  /** Load a model and a vocoder, and go on with them from where the listener is. */
  async choose(model: string, vocoder: string, aside: boolean): Promise<void> {
    const run = ++this.choosing;
    if (this.isWaveNet(vocoder)) {
      throw new Error(
        `the vocoder “${vocoder}” is too slow for live playback; it can only render WAV files`,
      );
    }
    if (aside) await this.player?.secure(SECURED_S);
    const [mel2mel, voice] = await Promise.all([this.model(model), this.voice(vocoder, model)]);
    expectSameMel(mel2mel, voice, vocoder);
    if (run !== this.choosing) return;
    this.mel2mel = mel2mel;
    this.vocoder = voice;
    this.forgetRendered();
    if (!this.player) this.listen();
    say({
      kind: "ready",
      model,
      vocoder,
      sampleRate: mel2mel.config.mel.sample_rate,
      threads: ort.env.wasm.numThreads ?? 1,
    });
  }

  cue(score: Score): void {
    this.order = score.order;
    this.cancelRender();
    const { piece, tracks, live } = score;
    if (piece !== null && piece !== this.rendered?.piece) this.forgetRendered();
    this.score = score;
    this.cueing++;
    this.fitting = this.fit(score, score.seconds);
    this.announced = false;
    const all = live ? [...tracks, LIVE_TRACK] : tracks;
    this.gainDb = this.gainOf(score);
    this.stream = new Stream(this.mel2mel, this.vocoder, all, {
      endless: !tracks.length,
      gainDb: this.gainDb,
    });
    if (score.seamless && this.player!.playing) this.changeOver(this.stream, score);
    else this.seek(score.seconds);
  }

  /** Play on in another model, which begins where what is computed already ends. */
  private async changeOver(stream: Stream, score: Score): Promise<void> {
    const player = this.player!;
    const run = this.cueing;
    await player.secure(SECURED_S);
    if (run !== this.cueing) return;
    const lead = Math.max(player.aheadSeconds - 2 * SHORTEST_S, 0);
    player.secured = 0;
    if (player.playing) player.handOver(stream, this.playing(score), this.hand, lead);
    else this.seek(player.seconds);
  }

  seek(seconds: number, order = this.order): void {
    this.order = order;
    if (!this.score) return;
    this.cueing++;
    this.player!.secured = 0;
    this.fitting = this.fit(this.score, seconds);
    const source = this.fitting ?? this.stream!;
    this.player!.cue(source, this.playing(this.score), seconds, this.hand);
  }

  change({ timbres, heard, dry, live }: Extract<ToEngine, { kind: "change" }>): void {
    if (!this.score) return;
    this.cancelRender();
    const before = this.fitting;
    this.score = { ...this.score, timbres, heard, dry, live: this.score.live && live };
    this.fitting = this.fit(this.score, this.player!.seconds);
    const playing = this.playing(this.score);
    if (this.fitting !== before)
      this.player!.handOver(this.fitting ?? this.stream!, playing, this.hand);
    else if (!before) this.player!.change(playing);
  }

  key(pitch: number, velocity: number): void {
    this.player?.key(pitch, velocity);
  }

  play(playing: boolean, order: number): void {
    this.order = order;
    this.player!.play(playing);
    this.tellPosition();
  }

  loop(loop: boolean): void {
    if (this.player) this.player.loop = loop;
  }

  async preview(point: number[], isKit: boolean): Promise<void> {
    const { mel2mel } = this;
    const track = phraseTrack(isKit);
    const roll = rollOf(mel2mel.roll, track, track.notes, frameRateOf(mel2mel.config.mel));
    const hops = Math.ceil(roll.nFrames / mel2mel.hop);
    const mel = new Float32Array(hops * mel2mel.hop * mel2mel.nMels);
    const rolls = [roll];
    let state = mel2mel.start(1, 0);
    const timbre = new Float32Array(mel2mel.pointSize);
    timbre.set(point);
    for (let hop = 0; hop < hops; hop++) {
      // What is played has its turn before each hop, and where it is short of time all turns.
      do await turn(PREVIEW_PAUSE_MS);
      while (this.player!.pressed);
      const step = await mel2mel.step(rolls, timbre, hop * mel2mel.hop, state);
      state = step.state;
      mel.set(step.mel, hop * step.mel.length);
    }
    say({ kind: "preview", nMels: mel2mel.nMels, mel }, [mel.buffer]);
  }

  /** The way that a track's timbre took, as it was computed, in seconds from–to of the score. */
  recording(track: number, from: number, to: number): void {
    const frameRate = frameRateOf(this.mel2mel.config.mel);
    const frames = [...this.player!.used.keys()]
      .filter((frame) => frame / frameRate >= from && frame / frameRate <= to)
      .sort((a, b) => a - b);
    const points = frames.map((frame) => this.player!.used.get(frame)![track]);
    // What is moved by hand stays for a hop, up to the last frames in which a path takes a new place.
    const held = this.mel2mel.hop - this.mel2mel.timbreFrames;
    const timbre = {
      times: frames.flatMap((frame) => [frame / frameRate, (frame + held) / frameRate]),
      points: points.flatMap((point) => [point, point]),
    };
    say({ kind: "recording", track, timbre: frames.length ? simplified(timbre) : null });
  }

  async export(asked: Extract<ToEngine, { kind: "export" }>): Promise<void> {
    const { tracks, timbres, heard, dry } = asked;
    const run = ++this.exporting;
    const { mel2mel } = this;
    const vocoder = await this.voice(asked.vocoder, mel2mel.config.name);
    expectSameMel(mel2mel, vocoder, asked.vocoder);
    if (run !== this.exporting) return;
    const rate = mel2mel.config.mel.sample_rate;
    const meter = new LoudnessMeter(rate);
    const spool = new Spool();
    const taker: Taker = {
      take: ({ mix }) => {
        meter.add(mix);
        spool.add(mix);
      },
      told: (progress, secondsLeft) => say({ kind: "export", progress, secondsLeft, wav: null }),
      cancelled: () => run !== this.exporting,
    };
    const stream = new Stream(mel2mel, vocoder, tracks, { gainDb: null, dry });
    if (!(await computeAll(stream, { timbres, heard, dry }, taker))) return;
    const replay = spool.finish();
    const { targetLufs } = constants.loudness;
    const gainDb = await fittedGain(meter.measured, replay, rate, targetLufs);
    const wav = new WavWriter(rate);
    for await (const mix of mastered(replay(), rate, gainDb)) wav.add(mix);
    if (taker.cancelled()) return;
    say({ kind: "export", progress: 1, secondsLeft: 0, wav: wav.finish() });
  }

  cancelExport(): void {
    this.exporting++;
  }

  /**
   * Compute the piece from where the listener is, and play on in that as soon as the rest will be
   * there in time.
   */
  async render(): Promise<void> {
    if (this.score?.piece == null || this.score.live) return;
    const run = ++this.rendering;
    const { piece, tracks, timbres, heard, dry } = this.score;
    const playing = { timbres, heard, dry };
    const stream = new Stream(this.mel2mel, this.vocoder, tracks, { gainDb: this.gainDb });
    const first = this.player!.loop
      ? 0
      : aligned(Math.min(this.player!.seconds * stream.frameRate, stream.nFrames - 1), stream.hop);
    const rendering = new Rendering(stream, first);
    const seconds = (stream.nSamples - first * stream.hopLength) / stream.sampleRate;
    this.bufferOnly = rendering;
    const begin = () => {
      if (this.bufferOnly !== rendering) return;
      this.bufferOnly = null;
      this.rendered = { rendering, run, piece, playing: JSON.stringify(playing) };
      this.fitting = rendering;
      this.player!.handOver(rendering, playing, null);
      say({ kind: "render", progress: 1, secondsLeft: 0, playable: true });
    };
    const wait = new BufferWait(seconds);
    const taker: Taker = {
      take: (step) => rendering.add(step),
      told: (progress, secondsLeft) => {
        if (this.bufferOnly !== rendering) return;
        const { share, left } = wait.at(progress, secondsLeft);
        const frame = aligned(this.player!.seconds * stream.frameRate, stream.hop);
        if (left <= 0 && rendering.has({ frame })) begin();
        else say({ kind: "render", progress: share, secondsLeft: left, playable: false });
      },
      cancelled: () => run !== this.rendering,
    };
    if (!(await computeAll(stream, playing, taker, first))) return;
    rendering.complete = true;
    begin();
  }

  cancelRender(): void {
    this.rendering++;
    this.bufferOnly = null;
  }

  tellPosition(): void {
    const { player } = this;
    if (!player) return;
    if (!this.announced && player.aheadSeconds > 0.1) {
      this.announced = true;
      say({ kind: "cued" });
    }
    say({
      kind: "position",
      seconds: player.seconds,
      playing: player.playing,
      ahead: player.aheadSeconds,
      underruns: this.output.underruns,
      realTimeFactor: player.realTimeFactor,
      keyLatency: player.keyLatency,
      nTracks: player.nTracks,
      overloaded: player.overloaded,
      rendered: this.fitting !== null,
      gainDb: this.gainDb,
      read: this.output.read,
    });
  }

  private fit({ timbres, heard, dry, piece, live }: Score, seconds: number): Rendering | null {
    if (!this.rendered || live || piece !== this.rendered.piece) return null;
    const { rendering, run, playing } = this.rendered;
    if (!rendering.complete && run !== this.rendering) return null;
    const { hop, sampleRate, hopLength, nFrames } = rendering;
    const last = Math.min((seconds * sampleRate) / hopLength, nFrames - 1);
    if (!rendering.has({ frame: aligned(last, hop) })) return null;
    return JSON.stringify({ timbres, heard, dry }) === playing ? rendering : null;
  }

  /** For a keyboard alone, the phrase says how loud its timbre is. */
  private gainOf({ tracks, timbres, live }: Score): number {
    if (tracks.length || !live) return expectedGain(this.mel2mel, tracks, timbres);
    const phrase = [phraseTrack(false)];
    return expectedGain(this.mel2mel, phrase, [constantTimbre(timbreAt(live, 0))]);
  }

  private forgetRendered(): void {
    this.cancelRender();
    this.rendered = this.fitting = null;
  }

  /** Takes the keyboard's notes, where it plays. */
  private get hand(): LiveTrack | null {
    const { score, stream } = this;
    if (!score?.live || !stream) return null;
    return (notes) => stream.setNotes(score.tracks.length, notes);
  }

  private playing({ timbres, heard, dry, live }: Score): Playing {
    if (!live) return { timbres, heard, dry };
    return { timbres: [...timbres, live], heard: [...heard, true], dry };
  }

  private listen(): void {
    const player = new Player(this.output, {
      computed: ({ frame, mel }) =>
        say({ kind: "mel", frame, nMels: this.mel2mel.nMels, mel }, [mel.buffer]),
      changed: (asked, heard) => say({ kind: "changed", asked, heard }),
      ended: () => say({ kind: "ended", order: this.order }),
      starved: () => say({ kind: "starved" }),
      measured: (quality) => say({ kind: "quality", quality }),
    });
    this.player = player;
    player.run().catch((error: Error) => {
      say({ kind: "failed", message: `the engine stopped: ${error.message}`, fatal: true });
    });
  }

  private model(name: string): Promise<Mel2Mel> {
    return remembered(this.models, name, () => this.load(name, Mel2Mel.load));
  }

  /** A vocoder for a model. */
  private voice(name: string, model: string): Promise<Vocoder> {
    if (name === GRIFFIN_LIM) return Promise.resolve(new GriffinLim(this.entry(model).config.mel));
    return remembered<Vocoder>(this.vocoders, name, async () => {
      if (this.isWaveNet(name)) return this.waveNet(name);
      return this.load(name, ParallelVocoder.load);
    });
  }

  private async waveNet(name: string): Promise<Vocoder> {
    const { file } = wavenetBuild();
    const wasm = await checkedBytes(
      "the WaveNet engine",
      file,
      this.manifest.wavenet[file],
      (path) => this.bytesOf(path),
    );
    return this.load(name, async (config, files) =>
      postFiltered(await WaveNet.load(config, files, wasm), config),
    );
  }

  private isWaveNet(name: string): boolean {
    return name !== GRIFFIN_LIM && this.entry(name).config.kind === WAVENET;
  }

  private bytesOf(path: string): Promise<ArrayBuffer> {
    return arrived.take(path) ?? receivedBytes(new URL(path, this.base).href);
  }

  /** Open a bundle while its checksums are computed, which have the last word. */
  private async load<T>(
    name: string,
    open: (config: BundleConfig, files: Record<string, Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const entry = this.entry(name);
    const { files, checked } = await loadFiles(entry, (path) => this.bytesOf(path));
    const opened = open(entry.config, files);
    opened.catch(() => {});
    await checked;
    return opened;
  }

  private entry(name: string): BundleEntry {
    const entry = this.manifest.models.find(({ config }) => config.name === name);
    if (!entry) throw new Error(`there is no model “${name}”`);
    return entry;
  }
}

function expectSameMel(mel2mel: Mel2Mel, { mel }: Vocoder, vocoder: string): void {
  if (JSON.stringify(mel2mel.config.mel) === JSON.stringify(mel)) return;
  const model = mel2mel.config.name;
  throw new Error(
    `the vocoder “${vocoder}” and the model “${model}” use different mel spectrograms`,
  );
}

/** What is loaded once; what failed may be tried again. */
function remembered<T>(
  known: Map<string, Promise<T>>,
  name: string,
  load: () => Promise<T>,
): Promise<T> {
  let found = known.get(name);
  if (!found) {
    found = load();
    known.set(name, found);
    found.catch(() => known.delete(name));
  }
  return found;
}

/** What the page hands over: it asks for what is needed first before this worker is there. */
const arrived = new Arrivals<ArrayBuffer>();
const runtime = new Arrivals<WebAssembly.Module>();
prepareRuntime(runtime.expect(RUNTIME));
let engine: Promise<Engine> | null = null;

async function hear(message: ToEngine): Promise<void> {
  if (message.kind === "runtime") return runtime.put(RUNTIME, message.module);
  if (message.kind === "file") return arrived.put(message.path, message.bytes);
  if (message.kind === "start") {
    for (const path of message.coming) arrived.expect(path);
    engine = Engine.start(message);
    const started = await engine;
    setInterval(() => started.tellPosition(), POSITION_MS);
    return;
  }
  const started = await engine!;
  switch (message.kind) {
    case "worklet":
      return started.connect(message.port);
    case "voice":
      return started.choose(message.model, message.vocoder, message.aside);
    case "score":
      return started.cue(message);
    case "seek":
      return started.seek(message.seconds, message.order);
    case "change":
      return started.change(message);
    case "key":
      return started.key(message.pitch, message.velocity);
    case "play":
      return started.play(message.playing, message.order);
    case "loop":
      return started.loop(message.loop);
    case "preview":
      return started.preview(message.point, message.isKit);
    case "recording":
      return started.recording(message.track, message.from, message.to);
    case "export":
      return started.export(message);
    case "cancel export":
      return started.cancelExport();
    case "render":
      return started.render();
    case "cancel render":
      return started.cancelRender();
  }
}

self.onmessage = ({ data }: MessageEvent<ToEngine>) => {
  hear(data).catch((error: Error) => {
    say({
      kind: "failed",
      message: error.message,
      fatal: data.kind === "start",
      during: data.kind,
    });
  });
};
