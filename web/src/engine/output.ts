// The worker's side of the ring: writes sound, may write again what has not been heard yet, and knows
// where the listener is.

import {
  HEADER,
  newRing,
  openRing,
  RING_SIZE,
  writeRing,
  type FromWorklet,
  type Ring,
  type ToWorklet,
} from "../audio/ring";

const CROSSFADE_S = 0.008; // over which new sound takes the place of old
const SAFETY_S = 0.02; // more where messages carry the sound

export class Output {
  /** What was written; in shared memory it is the worklet's own. */
  private readonly ring: Ring;
  private port: MessagePort | null = null;
  private playing = false;
  private written = 0;
  private final = false;
  private readFar = 0;
  private underrunsFar = 0;
  private rate = 0;
  private turn = 0; // from where on samples have that rate
  private coming = 0; // the rate of what is written next

  constructor(shared: SharedArrayBuffer | null) {
    this.ring = openRing(shared ?? newRing(false));
  }

  /** Send all to a worklet that shares no memory, from now on and what was written already. */
  connect(port: MessagePort): void {
    this.port = port;
    port.onmessage = ({ data }: MessageEvent<FromWorklet>) => {
      this.readFar = data.read;
      this.underrunsFar = data.underruns;
    };
    const waiting = Array.from(
      { length: this.written - this.read },
      (_, i) => (this.read + i) & (RING_SIZE - 1),
    );
    const [left, right] = [this.ring.left, this.ring.right].map((side) =>
      Float32Array.from(waiting, (at) => side[at]),
    );
    port.postMessage({ kind: "samples", at: this.read, left, right } satisfies ToWorklet);
    this.tell();
  }

  /** Where the listener is. */
  get read(): number {
    return this.port ? this.readFar : Atomics.load(this.ring.header, HEADER.read);
  }

  get underruns(): number {
    return this.port ? this.underrunsFar : Atomics.load(this.ring.header, HEADER.underruns);
  }

  get end(): number {
    return this.written;
  }

  /** Seconds ahead of the listener that are no longer touched. */
  get safetyS(): number {
    return SAFETY_S * (this.port ? 3 : 1);
  }

  /** From where on what is written will certainly be heard. */
  get soonest(): number {
    return this.playing ? this.read + Math.round(this.safetyS * this.rate) : this.read;
  }

  /** Where other sound can begin: where nothing was written the listener cannot be yet. */
  get next(): number {
    return Math.min(this.soonest, Math.max(this.written, this.read));
  }

  /** Samples that fit in; what was just heard stays, for the resampler looks back at it. */
  get capacity(): number {
    return RING_SIZE - 4096;
  }

  play(playing: boolean): void {
    this.playing = playing;
    this.tell();
  }

  /** What is written from now on has a rate, in Hz, that may be another one. */
  setRate(rate: number): void {
    this.coming = rate;
  }

  /** Nothing follows after `end`, or something does where it is null. */
  finish(end: number | null): void {
    this.final = end !== null;
    if (end !== null) this.written = end;
    this.tell();
  }

  /**
   * Put sound in its place. Where there is sound already, the old one fades into the new one; what is
   * too late to be heard is left out. Gives where the new sound begins.
   *
   * @param joint "on": goes on where the last write ended; "change": begins to differ from what is
   *   there; "cut": the same, and of what is there nothing later is valid
   */
  write(at: number, sides: [Float32Array, Float32Array], joint: "on" | "change" | "cut"): number {
    const n = sides[0].length;
    const fade = joint !== "on";
    const start = Math.max(at, fade ? this.next : at);
    if (start >= at + n) return -1;
    const [left, right] = sides.map((side) => side.slice(start - at));
    if (this.coming !== this.rate) {
      this.rate = this.coming;
      this.turn = start;
    } else if (fade && start < this.written) this.blend(start, left, right);
    writeRing(this.ring, start, left, right);
    this.written = Math.max(joint === "cut" ? 0 : this.written, at + n);
    if (this.port) {
      const message: ToWorklet = { kind: "samples", at: start, left, right };
      this.port.postMessage(message, [left.buffer, right.buffer] as Transferable[]);
    }
    this.tell();
    return start;
  }

  private blend(start: number, left: Float32Array, right: Float32Array): void {
    const n = Math.min(Math.round(CROSSFADE_S * this.rate), this.written - start, left.length);
    for (let i = 0; i < n; i++) {
      const share = (i + 1) / (n + 1);
      const at = (start + i) & (RING_SIZE - 1);
      left[i] = share * left[i] + (1 - share) * this.ring.left[at];
      right[i] = share * right[i] + (1 - share) * this.ring.right[at];
    }
  }

  private tell(): void {
    if (this.port) {
      const { written, playing, final, rate, turn } = this;
      const header: ToWorklet = { kind: "header", written, playing, final, rate, turn };
      this.port.postMessage(header);
      return;
    }
    const { header } = this.ring;
    Atomics.store(header, HEADER.turn, this.turn);
    Atomics.store(header, HEADER.rate, this.rate);
    Atomics.store(header, HEADER.written, this.written);
    Atomics.store(header, HEADER.final, this.final ? 1 : 0);
    Atomics.store(header, HEADER.playing, this.playing ? 1 : 0);
  }
}
