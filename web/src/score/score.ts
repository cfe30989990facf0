// A score: what is played, by which instruments, when, and how loud in the mix.

/** One sounding note; times in seconds. */
export interface Note {
  pitch: number;
  velocity: number;
  start: number;
  end: number;
}

/** A stepwise curve: a value holds from its time until the next one. */
export interface Automation {
  times: number[];
  values: number[];
}

export interface Track {
  name: string;
  program: number;
  channel: number;
  notes: Note[];
  gain: Automation;
  pan: Automation;
}

export type Unplayable = "drum_notes" | "notes_outside_21_108" | "pitch_bends";

export interface Score {
  tracks: Track[];
  pedalEvents: number;
  unplayable: Partial<Record<Unplayable, number>>;
}

export function constant(value: number): Automation {
  return { times: [0], values: [value] };
}

export function valueAt(curve: Automation, time: number): number {
  let low = 0;
  let high = curve.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return curve.values[Math.max(low - 1, 0)];
}

export function duration(score: Score): number {
  let end = 0;
  for (const track of score.tracks) for (const note of track.notes) end = Math.max(end, note.end);
  return end;
}

const WORDS: Record<Unplayable, string> = {
  drum_notes: "notes of drums",
  notes_outside_21_108: "notes outside the 88 keys",
  pitch_bends: "pitch bends",
};

/** What a file holds and nobody plays, in words; empty where there is nothing. */
export function leftOut(score: Score): string {
  const counts = Object.entries(score.unplayable).map(
    ([kind, n]) => `${WORDS[kind as Unplayable]} (${n})`,
  );
  return counts.length ? `Left out, as they cannot be played: ${counts.join(", ")}.` : "";
}
