// The AudioWorklet: plays the ring at the device's rate. Nothing is allocated while it plays, but for
// a table where the ring's rate changes.

import { HEADER, newRing, openRing, RING_SIZE, writeRing, type Ring, type ToWorklet } from "./ring";
import { Resampler } from "./resampler";

// TypeScript's DOM library does not describe the worklet's own world.
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const REPORT_QUANTA = 4; // between two messages to a worker that cannot look into the ring
const FADE_SAMPLES = 256; // where playing begins and ends, and where the ring's rate changes
const FADE_PER_SAMPLE = 1 / FADE_SAMPLES;

export interface ProcessorOptions {
  shared: SharedArrayBuffer | null;
}

class TimbrelProcessor extends AudioWorkletProcessor {
  private readonly ring: Ring;
  /** From the rate of what is being read. */
  private resampler = new Resampler(sampleRate, sampleRate);
  private rate = 0;
  private fraction = 0;
  private level = 0;
  private quanta = 0;
  private starving = false;
  private toWorker: MessagePort | null = null;
  private recording: [Float32Array, Float32Array] | null = null;
  private recorded = 0;

  constructor({ processorOptions }: { processorOptions: ProcessorOptions }) {
    super();
    this.ring = openRing(processorOptions.shared ?? newRing(false));
    this.port.onmessage = ({ data }) => this.told(data);
  }

  /** `record`: for so many seconds at most. */
  private told(data: { worker?: MessagePort; record?: number; stop?: boolean }): void {
    if (data.worker) {
      this.toWorker = data.worker;
      this.toWorker.onmessage = ({ data: told }: MessageEvent<ToWorklet>) => this.take(told);
    }
    if (data.record) {
      // Before anything was written its rate is not known.
      const most = data.record * (this.ring.header[HEADER.rate] || sampleRate);
      this.recording = [new Float32Array(most), new Float32Array(most)];
      this.recorded = 0;
    }
    if (data.stop && this.recording) {
      const [left, right] = this.recording.map((side) => side.slice(0, this.recorded));
      this.recording = null;
      this.port.postMessage({ left, right }, [left.buffer, right.buffer] as Transferable[]);
    }
  }

  private take(told: ToWorklet): void {
    const { header } = this.ring;
    if (told.kind === "samples") writeRing(this.ring, told.at, told.left, told.right);
    else {
      header[HEADER.written] = told.written;
      header[HEADER.playing] = told.playing ? 1 : 0;
      header[HEADER.final] = told.final ? 1 : 0;
      header[HEADER.turn] = told.turn;
      header[HEADER.rate] = told.rate;
    }
  }

  process(_: Float32Array[][], [output]: Float32Array[][]): boolean {
    const { header, left, right } = this.ring;
    const playing = Atomics.load(header, HEADER.playing) === 1;
    const written = Atomics.load(header, HEADER.written);
    const first = Atomics.load(header, HEADER.read);
    let read = first;
    const outLeft = output[0];
    const outRight = output[1] ?? output[0];
    const rate = Atomics.load(header, HEADER.rate);
    const turn = Atomics.load(header, HEADER.turn);
    let starved = false;
    for (let i = 0; i < outLeft.length; i++) {
      // What has another rate begins after a short fade.
      const turning =
        this.rate !== rate && read >= turn - FADE_SAMPLES * Math.max(this.resampler.ratio, 1);
      if (turning && this.level === 0) {
        read = Math.max(read, turn);
        this.retune(rate);
      }
      const straight = this.rate === sampleRate;
      const last = straight ? written : written - this.resampler.reach;
      const target = playing && (this.rate === rate || !turning) ? 1 : 0;
      if (this.level < target) this.level = Math.min(target, this.level + FADE_PER_SAMPLE);
      else if (this.level > target) this.level = Math.max(target, this.level - FADE_PER_SAMPLE);
      if (this.level === 0 || read >= last) {
        starved ||= this.level > 0;
        outLeft[i] = outRight[i] = 0;
        continue;
      }
      if (straight) {
        outLeft[i] = this.level * left[read & (RING_SIZE - 1)];
        outRight[i] = this.level * right[read & (RING_SIZE - 1)];
        read++;
        continue;
      }
      outLeft[i] = this.level * this.resampler.at(left, read, this.fraction);
      outRight[i] = this.level * this.resampler.at(right, read, this.fraction);
      this.fraction += this.resampler.ratio;
      const whole = Math.floor(this.fraction);
      read += whole;
      this.fraction -= whole;
    }
    // At the end of a piece nothing follows, which is no fault.
    starved &&= Atomics.load(header, HEADER.final) === 0;
    if (starved && !this.starving && first > 0) Atomics.add(header, HEADER.underruns, 1);
    this.starving = starved;
    this.record(first, read);
    Atomics.store(header, HEADER.read, read);
    if (this.toWorker && ++this.quanta % REPORT_QUANTA === 0) {
      this.toWorker.postMessage({ read, underruns: header[HEADER.underruns] });
    }
    return true;
  }

  private retune(rate: number): void {
    this.rate = rate;
    this.fraction = 0;
    this.resampler = new Resampler(rate, sampleRate);
  }

  /** Keep what was played, at the ring's rate. */
  private record(first: number, stop: number): void {
    if (!this.recording) return;
    for (let at = first; at < stop && this.recorded < this.recording[0].length; at++) {
      this.recording[0][this.recorded] = this.ring.left[at & (RING_SIZE - 1)];
      this.recording[1][this.recorded++] = this.ring.right[at & (RING_SIZE - 1)];
    }
  }
}

registerProcessor("timbrel", TimbrelProcessor);
