// The mel of a phrase in a timbre, for the eye. One is computed at a time; of those that are asked for
// meanwhile the last one counts.

import type { Tell } from "../engine/messages";
import type { Point } from "../timbre/timbre";

export interface Picture {
  mel: Float32Array;
  nMels: number;
}

export class Preview {
  picture = $state.raw<Picture | null>(null);
  private computing = false;
  private wanted: Point | null = null;

  /** @param allowed whether the computer has time for it */
  constructor(
    private readonly tell: Tell,
    private readonly allowed: () => boolean,
  ) {}

  show(point: Point): void {
    if (!this.allowed()) return;
    if (this.computing) {
      this.wanted = point;
      return;
    }
    this.computing = true;
    this.tell({ kind: "preview", point: [...point] });
  }

  computed(picture: Picture): void {
    this.picture = picture;
    this.computing = false;
    const point = this.wanted;
    this.wanted = null;
    if (point) this.show(point);
  }
}
