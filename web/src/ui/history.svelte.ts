// Undo and redo of values that are never altered.

const MOST_STEPS = 200;

export class History<T> {
  private past = $state.raw<T[]>([]);
  private future = $state.raw<T[]>([]);

  canUndo = $derived(this.past.length > 0);
  canRedo = $derived(this.future.length > 0);

  /**
   * Keep what was before a change.
   *
   * @param continues whether the change goes on with the one before, as a hand that drags: both are
   *   undone in one step
   */
  remember(before: T, continues: boolean): void {
    if (continues && this.past.length && !this.future.length) return;
    this.past = [...this.past, before].slice(-MOST_STEPS);
    this.future = [];
  }

  /** What was before the last change, if there is one; `now` can be redone. */
  undo(now: T): T | null {
    if (!this.past.length) return null;
    this.future = [...this.future, now];
    const before = this.past[this.past.length - 1];
    this.past = this.past.slice(0, -1);
    return before;
  }

  redo(now: T): T | null {
    if (!this.future.length) return null;
    this.past = [...this.past, now];
    const after = this.future[this.future.length - 1];
    this.future = this.future.slice(0, -1);
    return after;
  }

  clear(): void {
    this.past = [];
    this.future = [];
  }
}
