// The parallel vocoder as it runs, as src/timbrel/vocoder/parallel_stream.py runs it. What a graph
// remembers is read off its own interface: each input `x` with an output `x_out` is a state.

import constants from "../constants.json";
import { N_KEYS, PerformanceRoll } from "../score/performance_roll";
import type { PianoRoll } from "../score/roll";
import type { Timing } from "../score/pitch";
import { BentExcitation } from "./bent_excitation";
import type { BundleConfig, MelGeometry } from "./bundle";
import { phases } from "./chance";
import type { Ensemble } from "./ensemble";
import { Excitation, N_ENVELOPES, stackNotes, type NoteSource } from "./excitation";
import { PreEchoControl } from "./pre_echo";
import { openSession, ort, run } from "./runtime";
import { N_AGES, N_SOURCES, Strokes } from "./strokes";
import type { Vocoder } from "./vocoder";

const GRAPH_FILE = "vocoder.onnx";
const KITS_FILE = "kits.onnx";

/** What a graph remembers of one track, by the names of its inputs. */
type TrackState = Readonly<Record<string, Float32Array>>;
type State = readonly TrackState[];
type Feeds = Record<string, ort.Tensor>;

export class ParallelVocoder implements Vocoder<State> {
  readonly mel: MelGeometry;
  readonly latencyFrames: number;
  private readonly lookahead: number;
  private readonly lead: number;
  private readonly nPast: number;
  private readonly nBins: number;
  private readonly timing: Timing;
  private readonly readsPerformances: boolean;
  private readonly knowsScore: boolean;
  private readonly sources = new WeakMap<PianoRoll, NoteSource>();
  private readonly strokes = new WeakMap<PerformanceRoll, Strokes>();
  private readonly preEcho: PreEchoControl;

  private constructor(
    config: BundleConfig,
    private readonly notes: Graph,
    private readonly kits: Graph | null,
    private readonly seed: number,
  ) {
    const sizes = config.model as Record<string, number>;
    const half = sizes.n_fft / 2 / sizes.hop_length;
    this.mel = config.mel;
    this.preEcho = new PreEchoControl(config.mel.sample_rate, config.mel.hop_length);
    this.lookahead = sizes.lookahead;
    this.latencyFrames = sizes.lookahead + half;
    this.lead = half - 1; // sources are wanted up to the end of the window around a frame
    this.nPast = (sizes.n_blocks + 1) * (sizes.kernel_size - 1);
    this.nBins = sizes.n_fft / 2 + 1;
    this.timing = {
      gridS: sizes.onset_grid_s,
      clockS: sizes.onset_clock_s,
      delayS: sizes.onset_delay_s,
    };
    this.readsPerformances = config.model.conditioning === constants.performance;
    this.knowsScore = notes.takes("gain");
  }

  static async load(
    config: BundleConfig,
    files: Record<string, Uint8Array>,
    seed = 0,
  ): Promise<ParallelVocoder> {
    const notes = new Graph(await openSession(files, GRAPH_FILE));
    const kits = files[KITS_FILE] ? new Graph(await openSession(files, KITS_FILE)) : null;
    return new ParallelVocoder(config, notes, kits, seed);
  }

  async start(ensemble: Ensemble, frame: number): Promise<State> {
    const n = ensemble.tracks.length;
    const state = ensemble.rolls.map((roll) => this.silent(roll));
    // Silence before the first frame brings the state to where it would be after long silence.
    const silence = new Float32Array(n * this.nPast * this.mel.n_mels);
    silence.fill(Math.log(this.mel.floor));
    return (await this.step(ensemble, silence, frame - this.nPast, state)).state;
  }

  async step(
    { tracks, rolls }: Ensemble,
    mel: Float32Array,
    frame: number,
    state: State,
  ): Promise<{ audio: Float32Array; state: State }> {
    const n = tracks.length;
    const size = mel.length / n;
    const nFrames = size / this.mel.n_mels;
    const nSamples = nFrames * this.mel.hop_length;
    const audio = new Float32Array(n * nSamples);
    const next = new Array<TrackState>(n);
    for (const graph of [this.notes, this.kits]) {
      const rows = rolls.flatMap((roll, row) => (this.graphOf(roll) === graph ? [row] : []));
      if (!graph || !rows.length) continue;
      const own = rows.map((row) => rolls[row]);
      const mels = new Float32Array(rows.length * size);
      rows.forEach((row, i) => mels.set(mel.subarray(row * size, (row + 1) * size), i * size));
      const feeds: Feeds = {
        mel: new ort.Tensor(mels, [rows.length, nFrames, this.mel.n_mels]),
        ...(graph === this.kits
          ? this.strokesOf(own as PerformanceRoll[], frame, nFrames)
          : this.notesOf(
              own,
              rows.map((row) => tracks[row]),
              frame,
              nFrames,
            )),
      };
      const found = await graph.run(
        feeds,
        rows.map((row) => state[row]),
      );
      rows.forEach((row, i) => {
        const sound = found.audio.subarray(i * nSamples, (i + 1) * nSamples);
        next[row] = found.states[i];
        if (graph === this.kits) {
          const { onsets } = this.strokesIn(own[i] as PerformanceRoll);
          const begin = (frame - this.latencyFrames) * this.mel.hop_length;
          const levels = this.preEcho.process(sound, state[row].levels, onsets, begin);
          next[row] = { ...next[row], levels };
        }
        audio.set(sound, row * nSamples);
      });
    }
    return { audio, state: next };
  }

  regrouped(states: State[], rows: readonly number[]): State {
    const all = states.flat();
    return rows.map((row) => all[row]);
  }

  /** What is remembered of nothing: by the graph, and of a kit's levels. */
  private silent(roll: PianoRoll): TrackState {
    const graph = this.graphOf(roll);
    const state = graph.silent();
    return graph === this.kits
      ? { ...state, levels: new Float32Array(this.preEcho.nBlocks) }
      : state;
  }

  private graphOf(roll: PianoRoll): Graph {
    return this.kits && roll instanceof PerformanceRoll && roll.isKit ? this.kits : this.notes;
  }

  private notesOf(
    rolls: readonly PianoRoll[],
    tracks: readonly number[],
    frame: number,
    nFrames: number,
  ): Feeds {
    const n = rolls.length;
    const noise = phases(this.seed, tracks, frame - this.lookahead, nFrames, this.nBins);
    const feeds = { noise: new ort.Tensor(noise, [n, nFrames, this.nBins]) };
    if (!this.knowsScore) return feeds;
    const start = frame + this.lead;
    const found = rolls.map((roll) => this.sourceOf(roll).frames(start, start + nFrames));
    const nSteps = this.readsPerformances ? nFrames : 1;
    const { nNotes, phase, step, harmonics, gain, first } = stackNotes(found, nFrames, nSteps);
    return {
      ...feeds,
      phase: new ort.Tensor(phase, [n, nNotes, nFrames]),
      step: new ort.Tensor(step, [n, nNotes, nSteps]),
      harmonics: new ort.Tensor(harmonics, [n, nNotes, nSteps]),
      gain: new ort.Tensor(gain, [n, nNotes, nFrames, N_ENVELOPES]),
      first: new ort.Tensor(first, [n, nNotes, nFrames]),
    };
  }

  private strokesOf(rolls: readonly PerformanceRoll[], frame: number, nFrames: number): Feeds {
    const n = rolls.length;
    const nSamples = nFrames * this.mel.hop_length;
    const start = frame + this.lead;
    // The gate is that of the audio which the step finishes.
    const begin = (frame - this.latencyFrames) * this.mel.hop_length;
    const sources = new Float32Array(n * N_SOURCES * nSamples);
    const gate = new Float32Array(n * nSamples);
    const keys = new Float32Array(n * nFrames * N_AGES * N_KEYS);
    rolls.forEach((roll, i) => {
      const strokes = this.strokesIn(roll);
      const found = strokes.frames(start, start + nFrames);
      sources.set(found.sources, i * N_SOURCES * nSamples);
      keys.set(found.keys, i * nFrames * N_AGES * N_KEYS);
      gate.set(strokes.gate(begin, begin + nSamples), i * nSamples);
    });
    return {
      sources: new ort.Tensor(sources, [n, N_SOURCES, nSamples]),
      gate: new ort.Tensor(gate, [n, nSamples]),
      keys: new ort.Tensor(keys, [n, nFrames, N_AGES * N_KEYS]),
    };
  }

  private sourceOf(roll: PianoRoll): NoteSource {
    let found = this.sources.get(roll);
    if (!found) {
      const { sample_rate, hop_length } = this.mel;
      found =
        roll instanceof PerformanceRoll
          ? new BentExcitation(roll, sample_rate, hop_length, this.timing)
          : new Excitation(roll, sample_rate, hop_length, this.timing.gridS);
      this.sources.set(roll, found);
    }
    return found;
  }

  private strokesIn(roll: PerformanceRoll): Strokes {
    let found = this.strokes.get(roll);
    if (!found) {
      const { sample_rate, hop_length } = this.mel;
      found = new Strokes(roll, sample_rate, hop_length, this.timing);
      this.strokes.set(roll, found);
    }
    return found;
  }
}

/** A graph with what it remembers of each track. */
class Graph {
  /** Of one track, by names. */
  private readonly shapes = new Map<string, readonly number[]>();

  constructor(private readonly session: ort.InferenceSession) {
    for (const input of session.inputMetadata) {
      if (input.isTensor && session.outputNames.includes(`${input.name}_out`)) {
        this.shapes.set(input.name, input.shape.slice(1) as number[]);
      }
    }
  }

  takes(name: string): boolean {
    return this.session.inputNames.includes(name);
  }

  /** What it remembers of nothing. */
  silent(): TrackState {
    return Object.fromEntries(
      [...this.shapes].map(([name, shape]) => [name, new Float32Array(sizeOf(shape))]),
    );
  }

  async run(
    feeds: Feeds,
    states: readonly TrackState[],
  ): Promise<{ audio: Float32Array; states: TrackState[] }> {
    const n = states.length;
    const remembered: Feeds = {};
    for (const [name, shape] of this.shapes) {
      const data = new Float32Array(n * sizeOf(shape));
      states.forEach((state, i) => data.set(state[name], i * sizeOf(shape)));
      remembered[name] = new ort.Tensor(data, [n, ...shape]);
    }
    const outputs = await run(this.session, { ...feeds, ...remembered });
    const next = states.map((_, i) =>
      Object.fromEntries(
        [...this.shapes].map(([name, shape]) => {
          const size = sizeOf(shape);
          const data = outputs[`${name}_out`].data as Float32Array;
          return [name, data.slice(i * size, (i + 1) * size)];
        }),
      ),
    );
    return { audio: outputs.audio.data as Float32Array, states: next };
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
