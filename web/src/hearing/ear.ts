// The page's side of the ear: a worker that starts when something is to be heard first.

import type { BundleEntry } from "../engine/bundle";
import type { FromEar, LiveNews, ToEar, Wish } from "./messages";

export type Heard<W extends Wish> = Extract<FromEar, { kind: W }>;

/** What is to be heard in; `points`: of the instruments, for a timbre. */
export interface Question {
  channels: Float32Array[];
  sampleRate: number;
  entry: BundleEntry;
  points: number[][];
}

/** Blocks of mono sound that come by a port. */
export interface Live {
  sampleRate: number;
  entry: BundleEntry;
  port: MessagePort;
}

/** Of what is heard as it comes. */
export interface Listening {
  /** No more comes: gives the notes of all. */
  finish(): Promise<Heard<"notes">>;
  forget(): void;
}

interface Waiting {
  /** What is said before the answer. */
  told(news: FromEar): void;
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
    const { answered } = this.ask<W>(
      (number) => ({ kind: "hear", number, wish, ...question }),
      (news) => news.kind === "progress" && told(news.progress),
    );
    return answered;
  }

  /**
   * Hear notes as they come; fails with words where it cannot begin. `broken` is told where it cannot
   * go on, and nothing that was heard is known any more.
   */
  async listen(
    { port, ...live }: Live,
    told: (news: LiveNews) => void,
    broken: (error: Error) => void,
  ): Promise<Listening> {
    return new Promise((resolve, reject) => {
      const { number, answered } = this.ask<"notes">(
        (number) => ({ kind: "listen", number, port, ...live }),
        (news) => {
          if (news.kind === "progress") return;
          if (news.kind === "listening") resolve({ finish, forget });
          told(news as LiveNews);
        },
        [port],
      );
      answered.catch((error: Error) => (reject(error), broken(error)));
      const finish = async () => {
        this.post(await this.worker!, { kind: "finish", number });
        return answered;
      };
      const forget = () => void this.forget([number]);
    });
  }

  private ask<W extends Wish>(
    question: (number: number) => ToEar,
    told: (news: FromEar) => void,
    transfer: Transferable[] = [],
  ): { number: number; answered: Promise<Heard<W>> } {
    const number = this.asked++;
    const answered = new Promise<Heard<W>>((resolve, reject) => {
      this.waiting.set(number, { told, resolve: (answer) => resolve(answer as Heard<W>), reject });
    });
    this.worker ??= this.start();
    this.worker.then(
      (worker) => {
        // It may have been forgotten while the worker started.
        if (this.waiting.has(number)) this.post(worker, question(number), transfer);
      },
      (error: Error) => this.failed(error),
    );
    return { number, answered };
  }

  /** Nothing that was asked is wanted any more, or not what has such numbers. */
  async forget(numbers = [...this.waiting.keys()]): Promise<void> {
    for (const number of numbers) this.waiting.delete(number);
    const worker = await this.worker;
    if (worker) for (const number of numbers) this.post(worker, { kind: "forget", number });
  }

  private async start(): Promise<Worker> {
    const module = await this.runtime();
    const worker = new Worker(new URL("./ear_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromEar>) => this.answered(data);
    worker.onerror = () =>
      this.failed(new Error("what hears sounds cannot be started; reload the page"));
    this.post(worker, { kind: "runtime", module, base: document.baseURI });
    return worker;
  }

  private answered(data: FromEar): void {
    const waiting = this.waiting.get(data.number);
    if (!waiting) return;
    const isAnswer = data.kind === "timbre" || data.kind === "notes" || data.kind === "failed";
    if (!isAnswer) return waiting.told(data);
    this.waiting.delete(data.number);
    if (data.kind === "failed") waiting.reject(new Error(data.message));
    else waiting.resolve(data);
  }

  private failed(error: Error): void {
    this.worker = null;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  private post(worker: Worker, message: ToEar, transfer: Transferable[] = []): void {
    worker.postMessage(message, transfer);
  }
}
