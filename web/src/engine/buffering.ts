// How long a piece must be computed before it is played, so that the rest is there in time.

/** The rest may take so much longer than what was measured says. */
const MARGIN = 1.15;
const MEASURED_S = 1; // before that nothing is known of the speed

export class BufferWait {
  /**
   * @param seconds how long the piece sounds
   * @param began when computing began, in milliseconds
   */
  constructor(
    private readonly seconds: number,
    private readonly began = performance.now(),
  ) {}

  /**
   * How far the wait is and how many seconds are left of it, where so much of the piece is computed
   * and the rest will take so long.
   */
  at(
    progress: number,
    secondsLeft: number,
    now = performance.now(),
  ): { share: number; left: number } {
    const passed = (now - this.began) / 1000;
    // While it plays, what is not computed yet has as long as the piece sounds.
    const wait = secondsLeft - this.seconds / MARGIN;
    if (passed < MEASURED_S && progress < 1) {
      return { share: 0, left: Math.max(wait, MEASURED_S - passed) };
    }
    const left = Math.max(wait, 0);
    return { share: passed / (passed + left), left };
  }
}
