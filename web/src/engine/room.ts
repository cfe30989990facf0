// The room in which a mix sounds, as src/timbrel/room.py makes it: reverb and chorus, in stereo. Its
// state is a value that is never altered, so that the engine can go back to an earlier one.

import { joined } from "../audio/joined";
import constants from "../constants.json";

const room = constants.room;
const SIDES = 2;

type Stereo = [Float32Array, Float32Array];

export interface RoomState {
  /** What went into the delay lines, one line after the other, and where the next part is written. */
  readonly lines: Float32Array;
  readonly at: number;
  /** What comes out of the lines while the next part goes in, damped. */
  readonly damped: Float32Array;
  /** Parts since the last that was not silent. */
  readonly rest: number;
  /** Sends that do not fill a part yet. */
  readonly waiting: Stereo;
  /** What is computed and was not given yet. */
  readonly echoes: Stereo;
  /** What the chorus reads. */
  readonly past: Stereo;
}

/** The lines of a state that is being made. */
interface Lines {
  lines: Float32Array;
  at: number;
  damped: Float32Array;
  rest: number;
}

export class Room {
  /** All is computed in parts that are a little shorter than every line. */
  private readonly part: number;
  private readonly delays: number[];
  private readonly decays: number[];
  private readonly mixing: number[][];
  private readonly size: number;
  private readonly longestRest: number;
  private readonly reach: number;

  constructor(private readonly sampleRate: number) {
    this.delays = lineLengths(sampleRate);
    this.part = this.delays[0] - 2;
    this.decays = this.delays.map((delay) => 10 ** ((-3 * delay) / (room.decayS * sampleRate)));
    this.mixing = hadamard(room.nLines);
    const longest = this.delays[room.nLines - 1];
    this.size = Math.ceil((longest + 1) / this.part) * this.part + this.part;
    this.longestRest = Math.ceil((room.silentAfterS * sampleRate) / this.part);
    this.reach = Math.floor((room.chorusDelayS + room.chorusDepthS) * sampleRate) + 2;
  }

  start(): RoomState {
    return {
      lines: new Float32Array(room.nLines * this.size),
      at: 0,
      damped: new Float32Array(room.nLines * this.part),
      rest: this.longestRest,
      waiting: [new Float32Array(0), new Float32Array(0)],
      echoes: [new Float32Array(this.part), new Float32Array(this.part)],
      past: [new Float32Array(this.reach), new Float32Array(this.reach)],
    };
  }

  /**
   * What the effects add to a block, of what is sent to each of them.
   *
   * @param position sample of the score that the block begins with: the chorus moves with it
   */
  process(
    reverb: Stereo,
    chorus: Stereo,
    position: number,
    state: RoomState,
  ): { wet: Stereo; state: RoomState } {
    const n = reverb[0].length;
    const sent = state.waiting.map((waiting, side) => joined(waiting, reverb[side])) as Stereo;
    const nParts = Math.floor(sent[0].length / this.part);
    const fresh = sent.map(() => new Float32Array(nParts * this.part)) as Stereo;
    const { at, rest } = state;
    const lines = { lines: state.lines.slice(), at, damped: state.damped.slice(), rest };
    for (let i = 0; i < nParts; i++) this.feed(lines, sent, fresh, i * this.part);
    const echoes = state.echoes.map((echo, side) => joined(echo, fresh[side])) as Stereo;
    const line = state.past.map((past, side) => joined(past, chorus[side])) as Stereo;
    const wet = echoes.map((echo) => echo.slice(0, n)) as Stereo;
    if (line.some((side) => side.some((value) => value !== 0))) {
      for (let side = 0; side < SIDES; side++) this.swing(line[side], side, position, wet[side]);
    }
    return {
      wet,
      state: {
        ...lines,
        waiting: sent.map((side) => side.slice(nParts * this.part)) as Stereo,
        echoes: echoes.map((echo) => echo.slice(n)) as Stereo,
        past: line.map((side) => side.slice(n)) as Stereo,
      },
    };
  }

  /** Put a part of what is sent into the lines; what is heard while the next one is played is `out`. */
  private feed(state: Lines, sent: Stereo, out: Stereo, from: number): void {
    const isSilent = sent.every((side) =>
      side.subarray(from, from + this.part).every((value) => value === 0),
    );
    state.rest = isSilent ? state.rest + 1 : 0;
    if (state.rest === this.longestRest) {
      state.lines.fill(0);
      state.damped.fill(0);
    }
    if (state.rest >= this.longestRest) return;
    this.write(state, sent, from);
    this.read(state);
    const level = room.reverbLevel / Math.sqrt(room.nLines);
    for (let side = 0; side < SIDES; side++) {
      for (let k = 0; k < room.nLines; k++) {
        const factor = level * this.mixing[side + 1][k];
        const first = k * this.part;
        for (let i = 0; i < this.part; i++) out[side][from + i] += factor * state.damped[first + i];
      }
    }
  }

  private write({ lines, at, damped }: Lines, sent: Stereo, from: number): void {
    const n = room.nLines;
    const scale = 1 / Math.sqrt(n);
    const column = new Float64Array(n);
    for (let i = 0; i < this.part; i++) {
      for (let k = 0; k < n; k++) column[k] = this.decays[k] * damped[k * this.part + i];
      walsh(column);
      for (let k = 0; k < n; k++) {
        lines[k * this.size + at + i] = scale * column[k] + sent[k % SIDES][from + i];
      }
    }
  }

  private read(state: Lines): void {
    const { part, size } = this;
    const { lines, damped } = state;
    state.at = (state.at + part) % size;
    for (let k = 0; k < room.nLines; k++) {
      const first = k * size;
      let index = (state.at - this.delays[k] - 1 + 2 * size) % size;
      let before = lines[first + index];
      index = index + 1 === size ? 0 : index + 1;
      let here = lines[first + index];
      for (let i = 0; i < part; i++) {
        index = index + 1 === size ? 0 : index + 1;
        const after = lines[first + index];
        damped[k * part + i] = here + room.damping * (after + before - 2 * here);
        before = here;
        here = after;
      }
    }
  }

  /** Add copies of a side whose delays are modulated. */
  private swing(line: Float32Array, side: number, position: number, out: Float32Array): void {
    const level = room.chorusLevel / Math.sqrt(room.nChorusVoices);
    for (let voice = 0; voice < room.nChorusVoices; voice++) {
      const turn = (voice + side / SIDES) / room.nChorusVoices;
      for (let i = 0; i < out.length; i++) {
        const time = (position + i) / this.sampleRate;
        const swing = Math.sin(2 * Math.PI * (room.chorusHz * time + turn));
        const delay = this.sampleRate * (room.chorusDelayS + room.chorusDepthS * swing);
        const whole = Math.floor(delay);
        const share = delay - whole;
        const at = this.reach + i - whole;
        out[i] += level * ((1 - share) * line[at] + share * line[at - 1]);
      }
    }
  }
}

/** Lengths in samples, rising by equal factors, without a common divisor. */
function lineLengths(sampleRate: number): number[] {
  const factor = (room.longestLineS / room.shortestLineS) ** (1 / (room.nLines - 1));
  const lengths: number[] = [];
  let wish = room.shortestLineS * sampleRate;
  for (let k = 0; k < room.nLines; k++, wish *= factor) {
    let length = Math.round(wish);
    while (lengths.some((other) => divisor(length, other) > 1)) length++;
    lengths.push(length);
  }
  return lengths;
}

function divisor(a: number, b: number): number {
  return b ? divisor(b, a % b) : a;
}

/** Sylvester's matrix of ±1 with orthogonal rows. */
function hadamard(size: number): number[][] {
  let matrix = [[1]];
  while (matrix.length < size) {
    matrix = [
      ...matrix.map((row) => [...row, ...row]),
      ...matrix.map((row) => [...row, ...row.map((value) => -value)]),
    ];
  }
  return matrix;
}

/** Multiply by that matrix, in place and quickly. */
function walsh(values: Float64Array): void {
  for (let half = 1; half < values.length; half *= 2) {
    for (let i = 0; i < values.length; i += 2 * half) {
      for (let j = i; j < i + half; j++) {
        const a = values[j];
        const b = values[j + half];
        values[j] = a + b;
        values[j + half] = a - b;
      }
    }
  }
}
