// What hands do on a picture: press, drag, pinch with two fingers, tap, and point with a mouse.

export interface Gestures {
  /** A hand begins, at a point of the picture. */
  press(x: number, y: number, touch: boolean): void;
  drag(dx: number, dy: number, x: number, y: number): void;
  /** Two fingers moved apart by a factor. */
  pinch(factor: number): void;
  /** A hand that did not move was lifted. */
  tap(x: number, y: number, touch: boolean): void;
  /** A hand that moved was lifted. */
  release(): void;
  /** A mouse points here without a button, or left the picture. */
  point(at: { x: number; y: number } | null): void;
}

const STILL = 4; // pixels that a hand may tremble by

/** Tells gestures of an element's pointers. */
export class Hands {
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private began = { x: 0, y: 0 };
  private moved = false;

  constructor(
    private readonly element: HTMLElement,
    private readonly gestures: Gestures,
  ) {}

  readonly down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    const at = this.at(event);
    this.fingers.set(event.pointerId, at);
    if (this.fingers.size > 1) {
      this.moved = true; // no tap any more
      return;
    }
    this.began = at;
    this.moved = false;
    this.gestures.press(at.x, at.y, event.pointerType === "touch");
  };

  readonly move = (event: PointerEvent): void => {
    const before = this.fingers.get(event.pointerId);
    const at = this.at(event);
    if (!before) {
      if (event.pointerType === "mouse") this.gestures.point(at);
      return;
    }
    if (this.fingers.size > 1) {
      const apart = this.apart();
      this.fingers.set(event.pointerId, at);
      if (apart > 0) this.gestures.pinch(this.apart() / apart);
      return;
    }
    this.moved ||= Math.hypot(at.x - this.began.x, at.y - this.began.y) > STILL;
    if (!this.moved) return;
    this.fingers.set(event.pointerId, at);
    this.gestures.drag(at.x - before.x, at.y - before.y, at.x, at.y);
  };

  readonly up = (event: PointerEvent): void => {
    if (!this.fingers.delete(event.pointerId) || this.fingers.size) return;
    const { x, y } = this.at(event);
    const isTap = !this.moved && event.type === "pointerup";
    if (isTap) this.gestures.tap(x, y, event.pointerType === "touch");
    else this.gestures.release();
  };

  readonly leave = (): void => this.gestures.point(null);

  private at(event: PointerEvent): { x: number; y: number } {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private apart(): number {
    const [a, b] = [...this.fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }
}
