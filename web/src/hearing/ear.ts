// The page's side of the ear: a worker that starts when something is to be heard first.

import type { BundleEntry } from "../engine/bundle";
import type { FromEar, ToEar, Wish } from "./messages";

export type Heard<W extends Wish> = Extract<FromEar, { kind: W }>;

/** What is to be heard in; `points`: of the instruments, for a timbre. */
export interface Question {
  channels: Float32Array[];
  sampleRate: number;
  entry: BundleEntry;
  points: number[][];
}

interface Waiting {
  told(progress: number): void;
  resolve(answer: FromEar): void;
  reject(error: Error): void;
}

export class Ear {
  private worker: Promise<Worker> | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  /** @param runtime gives ONNX Runtime, compiled */
  constructor(private readonly runtime: () => Promise<WebAssembly.Module>) {}

  /** Hear a timbre or notes; fails with words. What is forgotten meanwhile is never answered. */
  async hear<W extends Wish>(
    wish: W,
    question: Question,
    told: (progress: number) => void,
  ): Promise<Heard<W>> {
    const number = this.asked++;
    const answered = new Promise<Heard<W>>((resolve, reject) => {
      this.waiting.set(number, { told, resolve: (answer) => resolve(answer as Heard<W>), reject });
    });
    this.worker ??= this.start();
    const worker = await this.worker;
    // It may have been forgotten while the worker started.
    if (this.waiting.has(number)) this.post(worker, { kind: "hear", number, wish, ...question });
    return answered;
  }

  /** Nothing that was asked is wanted any more. */
  async forget(): Promise<void> {
    const numbers = [...this.waiting.keys()];
    this.waiting.clear();
    const worker = await this.worker;
    if (worker) for (const number of numbers) this.post(worker, { kind: "forget", number });
  }

  private async start(): Promise<Worker> {
    const module = await this.runtime();
    const worker = new Worker(new URL("./ear_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromEar>) => this.answered(data);
    worker.onerror = () => {
      this.worker = null;
      for (const { reject } of this.waiting.values()) {
        reject(new Error("what hears sounds cannot be started; reload the page"));
      }
      this.waiting.clear();
    };
    this.post(worker, { kind: "runtime", module, base: document.baseURI });
    return worker;
  }

  private answered(data: FromEar): void {
    const waiting = this.waiting.get(data.number);
    if (!waiting) return;
    if (data.kind === "progress") return waiting.told(data.progress);
    this.waiting.delete(data.number);
    if (data.kind === "failed") waiting.reject(new Error(data.message));
    else waiting.resolve(data);
  }

  private post(worker: Worker, message: ToEar): void {
    worker.postMessage(message);
  }
}
