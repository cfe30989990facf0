// The keys of MIDI channels: which are down, what pedals hold, and which note-off ends what, as
// src/timbrel/score/keys.py.

import constants from "../constants.json";
import { resets } from "./exclusive";
import type { Note } from "./score";
import { CONTROL, NOTE_OFF, NOTE_ON, SYSEX } from "./smf";
import type { Event, Timeline } from "./timeline";

const { legatoOverlapS, strayAfterS, strayAfterStrokes } = constants;

export const ALL_SOUND_OFF = 120;
export const ALL_NOTES_OFF = 123;

/** A note that has begun. */
export interface Sounding {
  /** Where it goes when it ends. */
  part: Note[];
  pitch: number;
  detune: number;
  velocity: number;
  start: number;
  /** Its number among those of the channel. */
  stroke: number;
  /** Strokes of this key until now whose note-offs have not come; of how many they will come. */
  awaited: number;
  coming: number;
}

/** The keys of one channel, each for itself in each track. */
export class Keys {
  private readonly down = new Map<number, Sounding>(); // by track and key
  // What only a pedal holds, by key.
  private readonly sustained = new Map<number, Sounding[]>();
  private readonly caught = new Map<number, Sounding[]>();
  private sustain = false;
  private sostenuto = false;
  private nStrokes = 0;
  private caughtUntil = 0; // the last stroke that the sostenuto pedal may hold

  constructor(private readonly end: (note: Sounding, time: number) => void) {}

  /**
   * Begin a note; `answered` says whether a note-off of its own follows. A string that is struck
   * again is a new note. Where another track still holds the key, both go on.
   */
  strike(
    track: number,
    key: number,
    time: number,
    note: Pick<Sounding, "part" | "pitch" | "detune" | "velocity">,
    answered: number,
  ): void {
    for (const held of [this.sustained, this.caught]) {
      for (const other of held.get(key) ?? []) this.end(other, time);
      held.delete(key);
    }
    const earlier = this.down.get(track * 128 + key);
    this.down.delete(track * 128 + key);
    if (earlier) this.end(earlier, time);
    this.nStrokes += 1;
    this.down.set(track * 128 + key, {
      ...note,
      start: time,
      stroke: this.nStrokes,
      awaited: (earlier?.awaited ?? 0) + 1,
      coming: (earlier?.coming ?? 0) + answered,
    });
  }

  /**
   * Follow a note-off; gives whether a key came up. Where a key was struck again before its first
   * note-off came, that note-off belongs to the first note, which has ended already, and must not
   * cut the second. But where note-offs are missing in the file, any one ends the note.
   */
  release(track: number, key: number, time: number): boolean {
    const note = this.down.get(track * 128 + key);
    if (!note) return false;
    if (note.awaited > 1 && (note.coming > 1 || time - note.start < legatoOverlapS)) {
      note.awaited -= 1;
      note.coming = Math.max(note.coming - 1, 0);
      return false;
    }
    this.down.delete(track * 128 + key);
    this.cameUp(key, note, time);
    return true;
  }

  /** Let all keys come up; what the pedals hold sounds on. */
  releaseAll(time: number): void {
    for (const [where, note] of this.down) this.cameUp(where % 128, note, time);
    this.down.clear();
  }

  /** End all notes, whatever holds them. */
  silence(time: number): void {
    this.endAll(this.sustained, time);
    this.endAll(this.caught, time);
    for (const note of this.down.values()) this.end(note, time);
    this.down.clear();
  }

  setSustain(isDown: boolean, time: number): void {
    this.sustain = isDown;
    if (!isDown) this.endAll(this.sustained, time);
  }

  /** The sostenuto pedal holds the keys that are down when it is pressed. */
  setSostenuto(isDown: boolean, time: number): void {
    if (isDown && !this.sostenuto) this.caughtUntil = this.nStrokes;
    else if (!isDown) {
      this.caughtUntil = 0;
      if (this.sustain) {
        for (const [key, notes] of this.caught)
          for (const note of notes) hold(this.sustained, key, note);
        this.caught.clear();
      }
      this.endAll(this.caught, time);
    }
    this.sostenuto = isDown;
  }

  /** Lift the pedals at the piece's last event; keys that are never released end with it. */
  finish(last: number, end: number): void {
    this.setSustain(false, last);
    this.setSostenuto(false, last);
    this.silence(end);
  }

  private cameUp(key: number, note: Sounding, time: number): void {
    if (note.stroke <= this.caughtUntil) hold(this.caught, key, note);
    else if (this.sustain) hold(this.sustained, key, note);
    else this.end(note, time);
  }

  private endAll(held: Map<number, Sounding[]>, time: number): void {
    for (const notes of held.values()) for (const note of notes) this.end(note, time);
    held.clear();
  }
}

function hold(held: Map<number, Sounding[]>, key: number, note: Sounding): void {
  const notes = held.get(key);
  if (notes) notes.push(note);
  else held.set(key, [note]);
}

/** A note-on in the file, linked to the one of its key before. */
interface Stroke {
  answered: number;
  start: number;
  /** Among those of its key. */
  count: number;
  /** The newest of its key, up to it, that has no note-off. */
  waiting: Stroke | undefined;
  /** The one that waits if this does not. */
  before: Stroke | undefined;
}

/**
 * For each note-on, in the order of time: 1 if a note-off of its own follows, else 0. A note-off
 * answers the last stroke of its key that has none yet, in its track and until all keys are
 * released: one that is missing in one place leaves the others as they are.
 */
export function strokesWithNoteOffs(timeline: Timeline): number[] {
  const strokes: Stroke[] = [];
  for (let index = 0; index < timeline.length; index++) {
    // By port and channel, then by track and key: the last stroke.
    const last = new Map<string, Map<number, Stroke>>();
    for (const event of timeline.sequence(index)) {
      if (event.status === SYSEX) {
        if (resets(event.data)) last.clear();
        continue;
      }
      const channel = channelKey(event.port, event.channel);
      const key = event.track * 128 + event.first;
      const stroke = last.get(channel)?.get(key);
      if (isNoteOn(event)) {
        const added: Stroke = {
          answered: 0,
          start: event.time,
          count: stroke ? stroke.count + 1 : 0,
          waiting: undefined,
          before: stroke?.waiting,
        };
        added.waiting = added;
        strokes.push(added);
        if (!last.has(channel)) last.set(channel, new Map());
        last.get(channel)!.set(key, added);
      } else if (event.status === NOTE_ON || event.status === NOTE_OFF) {
        if (stroke) answer(stroke, event.time);
      } else if (event.status === CONTROL && releasesKeys(event.first)) last.delete(channel);
    }
  }
  return strokes.map(({ answered }) => answered);
}

/**
 * Follow a note-off after the last stroke of its key. One that comes long after several strokes that
 * had their own does not belong to the one before them: many programs release all keys at the end.
 */
function answer(last: Stroke, time: number): void {
  const { waiting } = last;
  if (!waiting) return;
  const isStray =
    last.count - waiting.count >= strayAfterStrokes && time - last.start > strayAfterS;
  if (isStray) return;
  waiting.answered = 1;
  last.waiting = waiting.before;
}

export function channelKey(port: Event["port"], channel: number): string {
  return `${port[0]} ${port[1]} ${channel}`;
}

/** Whether a key is struck; a note-on of velocity 0 is a note-off. */
export function isNoteOn(event: Event): boolean {
  return event.status === NOTE_ON && event.second > 0;
}

/** Whether a controller lets all keys of its channel come up, as changes of mode do, too. */
export function releasesKeys(control: number): boolean {
  return control === ALL_SOUND_OFF || control >= ALL_NOTES_OFF;
}
