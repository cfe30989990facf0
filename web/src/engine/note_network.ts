// The network of single notes as it runs, as src/timbrel/mel/note_generator.py does it.

import { joined } from "../audio/joined";
import type { PerformanceRoll } from "../score/performance_roll";
import { NUMBERS_OF_NOTE, soundingNotes } from "../score/sounding";
import type { BundleConfig } from "./bundle";
import { filmSizes } from "./kinds";
import { openSession, ort, run } from "./runtime";

const MOST_REMEMBERED = 1024; // notes, of 13 KB each

/** Some frames of tracks. */
export interface Passage {
  start: number;
  stop: number;
  /** Notes that begin in this frame or later are not known yet. */
  last: number;
  /** Frames in which nothing moves. */
  stretch: number;
  /** (tracks, steps, pointSize), each held for an equal part of the frames. */
  timbre: Float32Array;
  pointSize: number;
}

interface Codes {
  spectra: Float32Array;
  gains: Float32Array;
}

export class NoteNetwork {
  private readonly timbreSize: number;
  private readonly filmSizes: readonly [number, number, number];
  private readonly nMels: number;
  private readonly logFloor: number;
  /** The note that was used last comes last. */
  private readonly known = new Map<string, Codes>();

  private constructor(
    config: BundleConfig,
    private readonly notes: ort.InferenceSession,
    private readonly levels: ort.InferenceSession,
  ) {
    this.timbreSize = config.instruments![0].embedding.length;
    this.filmSizes = filmSizes(config);
    this.nMels = config.mel.n_mels;
    this.logFloor = Math.log(config.mel.floor);
  }

  static async load(config: BundleConfig, files: Record<string, Uint8Array>): Promise<NoteNetwork> {
    const notes = await openSession(files, "notes.onnx");
    return new NoteNetwork(config, notes, await openSession(files, "levels.onnx"));
  }

  /** Mel of a passage, (tracks, frames, n_mels), natural logarithm. */
  async mel(rolls: readonly PerformanceRoll[], passage: Passage): Promise<Float32Array> {
    const { start, stop, last, stretch, timbre, pointSize } = passage;
    const nFrames = stop - start;
    const nStretches = nFrames / stretch;
    const steps = timbre.length / (rolls.length * pointSize);
    const told: { key: string; note: Float32Array; point: Float32Array }[] = [];
    const ofNote: number[] = [];
    const places: number[] = [];
    const times: Float32Array[] = [];
    rolls.forEach((roll, i) => {
      const points = Array.from({ length: steps }, (_, step) =>
        timbre.subarray((i * steps + step) * pointSize, (i * steps + step + 1) * pointSize),
      );
      const moves = points.some((point) => point.some((value, d) => value !== points[0][d]));
      const heard = soundingNotes(roll, start, stop, last, stretch, moves);
      const words = (moves ? points : points.slice(0, 1)).map((point) => this.word(point));
      ofNote.push(...heard.ofNote.map((place) => told.length + place));
      heard.notes.forEach((note, k) => {
        const step = Math.floor((heard.firstFrames[k] * steps) / nFrames);
        told.push({ key: `${note.join()} ${words[moves ? step : 0]}`, note, point: points[step] });
      });
      places.push(...heard.stretches.map((place) => i * nStretches + place));
      times.push(heard.timesS);
    });
    const size = rolls.length * nFrames * this.nMels;
    if (!ofNote.length) return new Float32Array(size).fill(this.logFloor);
    const codes = await this.codes(told);
    const oneHot = new Float32Array(rolls.length * nStretches * places.length);
    places.forEach((place, row) => (oneHot[place * places.length + row] = 1));
    const { mel } = await run(this.levels, {
      spectra: tensor(joined(...codes.map(({ spectra }) => spectra)), codes.length),
      gains: tensor(joined(...codes.map(({ gains }) => gains)), codes.length),
      of_note: new ort.Tensor(Float32Array.from(ofNote), [ofNote.length]),
      times_s: new ort.Tensor(joined(...times), [places.length, stretch, 2]),
      places: new ort.Tensor(oneHot, [rolls.length * nStretches, places.length]),
    });
    return mel.data as Float32Array;
  }

  /** A name of a point, which is short where it has no FiLM vectors of its own. */
  private word(point: Float32Array): string {
    const own = point.subarray(this.timbreSize).some((value) => value !== 0);
    return (own ? point : point.subarray(0, this.timbreSize)).join();
  }

  /** What is computed once for a note, of each of some. */
  private async codes(
    told: readonly { key: string; note: Float32Array; point: Float32Array }[],
  ): Promise<Codes[]> {
    // Nothing that is needed may be forgotten while the network runs for another passage.
    const found = new Map(told.map(({ key }) => [key, this.known.get(key)]));
    const missing = [
      ...new Map(told.filter(({ key }) => !found.get(key)).map((one) => [one.key, one])).values(),
    ];
    if (missing.length) {
      const [first, second, own] = this.filmSizes;
      const ownAt = this.timbreSize + first + second;
      const { spectra, gains } = await run(this.notes, {
        notes: new ort.Tensor(joined(...missing.map(({ note }) => note)), [
          missing.length,
          NUMBERS_OF_NOTE,
        ]),
        timbre: tensor(
          joined(...missing.map(({ point }) => point.subarray(0, this.timbreSize))),
          missing.length,
        ),
        film: tensor(
          joined(...missing.map(({ point }) => point.subarray(ownAt, ownAt + own))),
          missing.length,
        ),
      });
      missing.forEach(({ key }, i) => {
        found.set(key, { spectra: row(spectra, i), gains: row(gains, i) });
      });
    }
    for (const [key, codes] of found) {
      this.known.delete(key);
      this.known.set(key, codes!);
    }
    for (const key of this.known.keys()) {
      if (this.known.size <= MOST_REMEMBERED) break;
      this.known.delete(key);
    }
    return told.map(({ key }) => found.get(key)!);
  }
}

function tensor(values: Float32Array, rows: number): ort.Tensor {
  return new ort.Tensor(values, [rows, values.length / rows]);
}

/** A copy of a row, so that what is kept does not hold what is not. */
function row({ data, dims }: ort.Tensor, i: number): Float32Array {
  return (data as Float32Array).slice(i * dims[1], (i + 1) * dims[1]);
}
