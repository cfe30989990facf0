// Mel2Mel as it runs: windowed inference, as src/timbrel/mel/generator.py does it.

import { joined } from "../audio/joined";
import constants from "../constants.json";
import type { BundleConfig } from "./bundle";
import { filmSizes, knowsNotes, rollKind } from "./kinds";
import { NoteNetwork, type Passage } from "./note_network";
import { pickedRows } from "./ensemble";
import { openSession, ort, run } from "./runtime";
import { rollSize, type PerformanceRoll } from "../score/performance_roll";
import type { PianoRoll } from "../score/roll";

/** What runs on from hop to hop. */
export interface MelState {
  /** The forward LSTM's state, (1, tracks, hidden). */
  hidden: Float32Array;
  cell: Float32Array;
  /** What the last window said beyond its hop of these rolls, (tracks, fade, hidden). */
  ahead: { rolls: readonly PianoRoll[]; future: Float32Array } | null;
  /** The frame in which each track began or woke, (tracks,). */
  begun: readonly number[];
}

const MOST_REMEMBERED = 256; // timbres, of which the state after silence is kept

export class Mel2Mel {
  readonly hop: number;
  readonly context: number;
  /** Frames that a timbre stays where it is on its way; hops are multiples of it. */
  readonly timbreFrames: number;
  readonly timbreSize: number;
  /** Of a timbre's point with FiLM vectors of its own behind the coordinates, as mel/film.py has them. */
  readonly pointSize: number;
  readonly nMels: number;
  /** The kind of rolls that it reads. */
  readonly roll: string;
  private readonly rollSize: number;
  private readonly hiddenSize: number;
  private readonly fade: number;
  /** Numbers that are added for the first layer, the second one, and single notes. */
  private readonly filmSizes: readonly [number, number, number];
  private readonly silences = new Map<string, MelState>();

  private constructor(
    readonly config: BundleConfig,
    private readonly past: ort.InferenceSession,
    private readonly future: ort.InferenceSession,
    private readonly mel: ort.InferenceSession,
    private readonly notes: NoteNetwork | null,
  ) {
    this.hop = config.window!.hop;
    this.context = config.window!.context;
    this.timbreFrames = greatestDivisor(this.hop, constants.timbreFrames);
    this.fade = Math.min(this.hop, this.context);
    this.timbreSize = config.instruments![0].embedding.length;
    this.hiddenSize = config.model.hidden_size as number;
    this.filmSizes = filmSizes(config);
    this.pointSize = this.filmSizes.reduce((sum, size) => sum + size, this.timbreSize);
    this.nMels = config.mel.n_mels;
    this.roll = rollKind(config);
    this.rollSize = rollSize(this.roll);
  }

  static async load(config: BundleConfig, files: Record<string, Uint8Array>): Promise<Mel2Mel> {
    const past = await openSession(files, "past.onnx");
    const future = await openSession(files, "future.onnx");
    const mel = await openSession(files, "mel.onnx");
    const notes = knowsNotes(config.model) ? await NoteNetwork.load(config, files) : null;
    return new Mel2Mel(config, past, future, mel, notes);
  }

  /** Some tracks that begin in a frame. */
  start(nTracks: number, frame: number): MelState {
    const size = nTracks * this.hiddenSize;
    return {
      hidden: new Float32Array(size),
      cell: new Float32Array(size),
      ahead: null,
      begun: new Array<number>(nTracks).fill(frame),
    };
  }

  /**
   * A track that begins in a frame after silence, in which its timbre was each of the given ones for
   * `timbreFrames`.
   */
  async afterSilence(timbres: readonly Float32Array[], frame: number): Promise<MelState> {
    const [first] = timbres;
    let state = this.start(1, frame);
    if (!first) return state;
    const isStill = timbres.every((timbre) => timbre.every((value, d) => value === first[d]));
    const key = isStill ? `${timbres.length} ${first.join()}` : "";
    const known = this.silences.get(key);
    if (known) return { ...known, begun: [frame] };
    const nFrames = timbres.length * this.timbreFrames;
    const silent = new Float32Array(nFrames * this.rollSize);
    const points = isStill ? first : joined(...timbres);
    ({ state } = await this.runPast(silent, points, 1, nFrames, state));
    if (isStill) {
      if (this.silences.size >= MOST_REMEMBERED) this.silences.clear();
      this.silences.set(key, state);
    }
    return state;
  }

  /** The state of tracks whose rows are taken from others, counted through all of them. */
  regrouped(states: MelState[], rows: readonly number[]): MelState {
    const picked = (of: (state: MelState) => Float32Array, size: number) =>
      pickedRows(states.map(of), size, rows);
    const begun = states.flatMap((state) => state.begun);
    let ahead: MelState["ahead"] = null;
    if (states.every((state) => state.ahead)) {
      const rolls = states.flatMap((state) => state.ahead!.rolls);
      const future = picked((state) => state.ahead!.future, this.fade * this.hiddenSize);
      ahead = { rolls: rows.map((row) => rolls[row]), future };
    }
    return {
      hidden: picked((state) => state.hidden, this.hiddenSize),
      cell: picked((state) => state.cell, this.hiddenSize),
      ahead,
      begun: rows.map((row) => begun[row]),
    };
  }

  /**
   * One hop of mel, (tracks, hop, n_mels), natural logarithm.
   *
   * @param timbre (tracks, steps, pointSize), each held for an equal part of the hop; the backward
   * half of the network has the first ones
   */
  async step(
    rolls: readonly PianoRoll[],
    timbre: Float32Array,
    frame: number,
    state: MelState,
  ): Promise<{ mel: Float32Array; state: MelState }> {
    const { hop, fade, hiddenSize, rollSize } = this;
    const n = rolls.length;
    const steps = timbre.length / (n * this.pointSize);
    const firsts = rolls.map((_, i) => i * steps);
    const first = pickedRows([timbre], this.pointSize, firsts);
    const seen = this.windows(rolls, frame);
    const rollNow = new Float32Array(n * hop * rollSize);
    for (let i = 0; i < n; i++) {
      part(rollNow, i, n).set(part(seen, i, n).subarray(0, hop * rollSize));
    }
    const before = await this.runPast(rollNow, timbre, n, hop, state);
    // Where a key was struck since, the window before knew other rolls.
    const known = state.ahead?.rolls.every((roll, i) => roll === rolls[i]);
    const earlier = known
      ? state.ahead!.future
      : this.beyondHop(await this.runFuture(this.windows(rolls, frame - hop), first, n), n);
    const window = await this.runFuture(seen, first, n);
    const future = new Float32Array(n * hop * hiddenSize);
    for (let i = 0; i < n; i++) {
      const own = part(future, i, n);
      own.set(part(window, i, n).subarray(0, hop * hiddenSize));
      const old = part(earlier, i, n);
      for (let k = 0; k < fade; k++) {
        const share = (k + 0.5) / fade;
        for (let at = k * hiddenSize; at < (k + 1) * hiddenSize; at++) {
          own[at] = share * own[at] + (1 - share) * old[at];
        }
      }
    }
    const alone = await this.notes?.mel(rolls as PerformanceRoll[], this.passage(timbre, frame));
    const { mel } = await run(this.mel, {
      past: before.past,
      future: new ort.Tensor(future, [n, hop, hiddenSize]),
      ...this.fed(timbre, n, hop, 1),
      ...(alone && { alone: new ort.Tensor(alone, [n, hop, this.nMels]) }),
    });
    const found = mel.data as Float32Array;
    rolls.forEach((one, i) => {
      const silent = Math.min(Math.max(this.silentUntil(one, state.begun[i]) - frame, 0), hop);
      part(found, i, n)
        .subarray(0, silent * this.nMels)
        .fill(Math.log(this.config.mel.floor));
    });
    const ahead = { rolls, future: this.beyondHop(window, n) };
    return { mel: found, state: { ...before.state, ahead } };
  }

  /** The state after some frames that nobody hears; cheap, as the backward half is left out. */
  async skim(
    rolls: readonly PianoRoll[],
    timbre: Float32Array,
    start: number,
    stop: number,
    state: MelState,
  ): Promise<MelState> {
    if (stop <= start) return state;
    const n = rolls.length;
    const roll = new Float32Array(n * (stop - start) * this.rollSize);
    rolls.forEach((one, i) => one.window(start, stop, part(roll, i, n)));
    return (await this.runPast(roll, timbre, n, stop - start, state)).state;
  }

  /** Frames by which the window of a mel frame reaches to either side. */
  get reach(): number {
    const { n_fft, hop_length } = this.config.mel;
    return n_fft / 2 / hop_length;
  }

  /** The first frame from `begun` on whose window reaches a note. */
  private silentUntil(roll: PianoRoll, begun: number): number {
    return (roll.firstSounding(begun) ?? Infinity) - this.reach;
  }

  /** A hop as the network of single notes is told of it. */
  private passage(timbre: Float32Array, start: number): Passage {
    const { hop, context, pointSize, timbreFrames: stretch } = this;
    return { start, stop: start + hop, last: start + hop + context, stretch, timbre, pointSize };
  }

  /** A hop of the rolls with its context, (tracks, hop + context, channels). */
  private windows(rolls: readonly PianoRoll[], frame: number): Float32Array {
    const n = rolls.length;
    const nFrames = this.hop + this.context;
    const windows = new Float32Array(n * nFrames * this.rollSize);
    rolls.forEach((roll, i) => roll.window(frame, frame + nFrames, part(windows, i, n)));
    return windows;
  }

  /** The backward LSTM over windows, (tracks, hop + context, hidden). */
  private async runFuture(
    windows: Float32Array,
    timbre: Float32Array,
    n: number,
  ): Promise<Float32Array> {
    const nothing = new ort.Tensor(new Float32Array(n * this.hiddenSize), [1, n, this.hiddenSize]);
    const { future } = await run(this.future, {
      roll: new ort.Tensor(windows, [n, this.hop + this.context, this.rollSize]),
      ...this.fed(timbre, n, 1, 0),
      hidden_in: nothing,
      cell_in: nothing,
    });
    return future.data as Float32Array;
  }

  /** Of windows (tracks, hop + context, hidden), what fades into the next ones. */
  private beyondHop(window: Float32Array, n: number): Float32Array {
    const out = new Float32Array(n * this.fade * this.hiddenSize);
    for (let i = 0; i < n; i++) {
      const frames = part(window, i, n).subarray(this.hop * this.hiddenSize);
      part(out, i, n).set(frames.subarray(0, this.fade * this.hiddenSize));
    }
    return out;
  }

  /**
   * What a graph is given of timbres (tracks, steps, pointSize) that share so many frames: the
   * places, (tracks, frames, timbreSize), and what is added to the FiLM vectors of a layer.
   */
  private fed(
    timbre: Float32Array,
    n: number,
    nFrames: number,
    layer: 0 | 1,
  ): Record<"timbre" | "film", ort.Tensor> {
    const { pointSize, timbreSize, filmSizes } = this;
    const start = timbreSize + (layer ? filmSizes[0] : 0);
    const steps = timbre.length / (n * pointSize);
    const spread = (from: number, size: number, frames: number) => {
      const out = new Float32Array(n * frames * size);
      for (let row = 0; row < n * frames; row++) {
        const track = Math.floor(row / frames);
        const step = Math.floor(((row % frames) * steps) / frames);
        const at = (track * steps + step) * pointSize + from;
        out.set(timbre.subarray(at, at + size), row * size);
      }
      return new ort.Tensor(out, [n, frames, size]);
    };
    return {
      timbre: spread(0, timbreSize, nFrames),
      // What stays is given once, and the graph repeats it.
      film: spread(start, filmSizes[layer], this.stays(timbre, steps, start, layer) ? 1 : nFrames),
    };
  }

  /** Whether no track's steps change what is added to the FiLM vectors of a layer. */
  private stays(timbre: Float32Array, steps: number, start: number, layer: 0 | 1): boolean {
    const { pointSize, filmSizes } = this;
    for (let row = 0; row * pointSize < timbre.length; row++) {
      if (row % steps === 0) continue;
      const from = row * pointSize + start;
      for (let at = from; at < from + filmSizes[layer]; at++) {
        if (timbre[at] !== timbre[at - pointSize]) return false;
      }
    }
    return true;
  }

  private async runPast(
    roll: Float32Array,
    timbre: Float32Array,
    n: number,
    nFrames: number,
    state: MelState,
  ): Promise<{ past: ort.Tensor; state: MelState }> {
    const stateShape = [1, n, this.hiddenSize];
    const { past, hidden, cell } = await run(this.past, {
      roll: new ort.Tensor(roll, [n, nFrames, this.rollSize]),
      ...this.fed(timbre, n, nFrames, 0),
      hidden_in: new ort.Tensor(state.hidden, stateShape),
      cell_in: new ort.Tensor(state.cell, stateShape),
    });
    return {
      past,
      state: {
        hidden: hidden.data as Float32Array,
        cell: cell.data as Float32Array,
        ahead: null,
        begun: state.begun,
      },
    };
  }
}

function greatestDivisor(a: number, b: number): number {
  return b ? greatestDivisor(b, a % b) : a;
}

/** The i-th of n equal parts. */
function part(array: Float32Array, i: number, n: number): Float32Array {
  const size = array.length / n;
  return array.subarray(i * size, (i + 1) * size);
}
