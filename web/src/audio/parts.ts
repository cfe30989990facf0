// Bytes that grow, handed to the browser in parts, which need not stay in memory.

const PART_BYTES = 1 << 22;

export class Parts {
  private readonly done: Blob[] = [];
  private waiting: ArrayBuffer[] = [];
  private waitingBytes = 0;

  /** Append some bytes; gives where they will lie: in which part, and at which byte of it. */
  add(bytes: ArrayBuffer): { part: number; offset: number } {
    const place = { part: this.done.length, offset: this.waitingBytes };
    this.waiting.push(bytes);
    this.waitingBytes += bytes.byteLength;
    if (this.waitingBytes >= PART_BYTES) this.close();
    return place;
  }

  /** All parts. */
  finish(): Blob[] {
    if (this.waiting.length) this.close();
    return this.done;
  }

  private close(): void {
    this.done.push(new Blob(this.waiting));
    this.waiting = [];
    this.waitingBytes = 0;
  }
}
