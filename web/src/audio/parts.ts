// Bytes that grow, handed to the browser in parts, which need not stay in memory.

const PART_BYTES = 1 << 22;

/** Where some bytes lie: in which part, and at which byte of it. */
export interface PartPlace {
  part: number;
  offset: number;
}

export class Parts {
  private readonly done: Blob[] = [];
  private waiting: { offset: number; bytes: ArrayBuffer }[] = [];
  private waitingBytes = 0;

  /** Append some bytes; gives where they will lie. */
  add(bytes: ArrayBuffer): PartPlace {
    const place = { part: this.done.length, offset: this.waitingBytes };
    this.waiting.push({ offset: place.offset, bytes });
    this.waitingBytes += bytes.byteLength;
    if (this.waitingBytes >= PART_BYTES) this.close();
    return place;
  }

  /** What was added there, of some length. */
  async read({ part, offset }: PartPlace, length: number): Promise<ArrayBuffer> {
    if (part < this.done.length)
      return this.done[part].slice(offset, offset + length).arrayBuffer();
    return this.waiting.find((one) => one.offset === offset)!.bytes;
  }

  /** All parts. */
  finish(): Blob[] {
    if (this.waiting.length) this.close();
    return this.done;
  }

  private close(): void {
    this.done.push(new Blob(this.waiting.map(({ bytes }) => bytes)));
    this.waiting = [];
    this.waitingBytes = 0;
  }
}
