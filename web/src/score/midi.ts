// Standard MIDI Files → Score. Reads as src/timbrel/score/midi.py does; tests/golden holds both to
// the same files.

import constants from "../constants.json";
import { MidiError, parseSmf, type Message, type MidiFile } from "./smf";
import { constant, type Automation, type Note, type Score, type Unplayable } from "./score";

const SUSTAIN = 64;
const SOSTENUTO = 66;
const VOLUME = 7;
const PAN = 10;
const EXPRESSION = 11;
const ALL_SOUND_OFF = 120;
const RESET_CONTROLLERS = 121;
const ALL_NOTES_OFF = 123;

/** Read a file's bytes; errors say what is wrong in words that follow the file's name. */
export function parseMidi(bytes: Uint8Array): Score {
  let data = bytes;
  if (data.length > constants.maxFileBytes) {
    throw new MidiError(
      `is larger than ${constants.maxFileBytes / 2 ** 20} MiB, up to which MIDI files are read`,
    );
  }
  if (!data.length) throw new MidiError("is empty; a MIDI file was expected");
  const marked = (at: number, text: string) =>
    [...text].every((letter, i) => data[at + i] === letter.charCodeAt(0));
  // A MIDI file wrapped in RIFF, as old Windows programs write it.
  if (marked(0, "RIFF") && marked(8, "RMID")) data = data.subarray(20);
  if (!marked(0, "MThd")) throw new MidiError("is not a MIDI file (it does not start with 'MThd')");
  const midi = parseSmf(data);
  const performance = new Performance(keysWithoutNoteOffs(midi));
  let end = 0;
  // The sequences of a type 2 file are independent pieces: they are played in turn.
  const all = midi.tracks.map((_, i) => i);
  for (const tracks of midi.type === 2 ? all.map((i) => [i]) : [all]) {
    for (const event of timeline(midi, tracks, end)) {
      end = event.time;
      if (!(end <= constants.maxDurationS)) {
        throw new MidiError(`lasts longer than ${constants.maxDurationS / 3600} hours`);
      }
      performance.play(event);
    }
    performance.finish(end);
  }
  return performance.score();
}

interface Event {
  time: number;
  track: number;
  message: Message;
}

function* timeline(midi: MidiFile, tracks: number[], start: number): Generator<Event> {
  const merged: { tick: number; track: number; message: Message }[] = [];
  for (const track of tracks) {
    let tick = 0;
    for (const message of midi.tracks[track]) {
      tick += message.ticks;
      merged.push({ tick, track, message });
    }
  }
  merged.sort((a, b) => a.tick - b.tick); // stable: tracks in their order, messages in theirs
  const { division } = midi;
  let tempo = constants.defaultTempo;
  let time = start;
  let last = 0;
  for (const { tick, track, message } of merged) {
    let secondsPerTick: number;
    if (division < 0) {
      // SMPTE: frames per second, negated, and ticks per frame
      const rate = -(division >> 8);
      secondsPerTick = 1 / ((rate === 29 ? 30 / 1.001 : rate) * Math.max(division & 0xff, 1));
    } else secondsPerTick = (tempo * 1e-6) / division;
    time += (tick - last) * secondsPerTick;
    last = tick;
    if (message.kind === "tempo" && message.a > 0) tempo = message.a;
    yield { time, track, message };
  }
}

/** A note that has begun; `part` is the track, channel and program that it belongs to. */
interface Sounding {
  part: [number, number, number];
  pitch: number;
  velocity: number;
  start: number;
  keyDown: boolean;
  latched: boolean;
}

class Channel {
  program = 0;
  sustain = false;
  sostenuto = false;
  volume = constants.defaultVolume;
  expression = constants.defaultExpression;
  gains: [number, number][] = [];
  pans: [number, number][] = [];
  sounding: Sounding[] = [];
}

/** Plays the events of a file and notes down what sounds. */
class Performance {
  private channels = new Map<number, Channel>();
  private keys = new Map<string, number>();
  private parts = new Map<string, { part: [number, number, number]; notes: Note[] }>();
  private names = new Map<number, string>();
  private unplayable: Record<Unplayable, number> = {
    drum_notes: 0,
    notes_outside_21_108: 0,
    pitch_bends: 0,
  };
  private pedalEvents = 0;

  constructor(private readonly unreliable: Set<string>) {}

  play(event: Event): void {
    const { message } = event;
    if (isNoteOn(message)) this.noteOn(event);
    else if (message.kind === "note_on" || message.kind === "note_off") this.noteOff(event);
    else if (message.kind === "control") this.control(event);
    else if (message.kind === "program") this.channel(message.channel).program = message.a;
    else if (message.kind === "pitch_bend") this.unplayable.pitch_bends += message.a !== 0 ? 1 : 0;
    else if (message.kind === "name" && !this.names.has(event.track)) {
      this.names.set(event.track, message.text.trim());
    }
  }

  /** End what still sounds: its note-off is missing, or the pedal was never released. */
  finish(end: number): void {
    for (const channel of this.channels.values()) {
      for (const note of channel.sounding) this.end(note, end);
      channel.sounding = [];
      channel.sustain = channel.sostenuto = false;
    }
  }

  score(): Score {
    const parts = [...this.parts.values()].sort(
      ({ part: a }, { part: b }) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2],
    );
    const tracks = parts.map(({ part: [track, number, program], notes }) => {
      const channel = this.channel(number);
      notes.sort((a, b) => a.start - b.start || a.pitch - b.pitch);
      return {
        name: this.names.get(track) || constants.programNames[program],
        program,
        channel: number,
        notes,
        gain: automation(channel.gains, gain(constants.defaultVolume, constants.defaultExpression)),
        pan: automation(channel.pans, 0),
      };
    });
    const counted = Object.entries(this.unplayable).filter(([, n]) => n > 0);
    return {
      tracks,
      pedalEvents: this.pedalEvents,
      unplayable: Object.fromEntries(counted.sort()),
    };
  }

  private channel(number: number): Channel {
    let channel = this.channels.get(number);
    if (!channel) this.channels.set(number, (channel = new Channel()));
    return channel;
  }

  private noteOn({ message, track, time }: Event): void {
    if (message.channel === constants.drumChannel) {
      this.unplayable.drum_notes += 1;
      return;
    }
    if (message.a < constants.lowestPitch || message.a > constants.highestPitch) {
      this.unplayable.notes_outside_21_108 += 1;
      return;
    }
    const channel = this.channel(message.channel);
    const kept: Sounding[] = [];
    for (const note of channel.sounding) {
      // A string that is struck again is a new note. Where another track still holds the key on the
      // same channel, both go on: two hands share a part.
      const struckAgain = note.pitch === message.a && (note.part[0] === track || !note.keyDown);
      if (struckAgain) this.end(note, time);
      else kept.push(note);
    }
    kept.push({
      part: [track, message.channel, channel.program],
      pitch: message.a,
      velocity: message.b,
      start: time,
      keyDown: true,
      latched: false,
    });
    channel.sounding = kept;
    const key = `${track} ${message.channel} ${message.a}`;
    this.keys.set(key, (this.keys.get(key) ?? 0) + 1);
  }

  private noteOff({ message, track, time }: Event): void {
    const channel = this.channel(message.channel);
    const key = `${track} ${message.channel} ${message.a}`;
    // Where a key was struck again before its first note-off came, that note-off belongs to the first
    // note, which has ended already, and must not cut the second. But where note-offs are missing in
    // the file, waiting for them would hang the note: any one ends it.
    const pressed = this.keys.get(key) ?? 0;
    this.keys.set(key, Math.max(pressed - 1, 0));
    if (pressed > 1 && !this.unreliable.has(key)) return;
    for (const note of channel.sounding) {
      if (note.pitch === message.a && note.part[0] === track) note.keyDown = false;
    }
    this.release(channel, time);
  }

  private control({ message, time }: Event): void {
    const channel = this.channel(message.channel);
    const { a: number, b: value } = message;
    const down = value >= constants.pedalThreshold;
    if (number === SUSTAIN) {
      this.pedalEvents += 1;
      channel.sustain = down;
    } else if (number === SOSTENUTO) {
      if (down && !channel.sostenuto)
        for (const note of channel.sounding) note.latched = note.keyDown;
      else if (!down) for (const note of channel.sounding) note.latched = false;
      channel.sostenuto = down;
    } else if (number === RESET_CONTROLLERS) {
      channel.sustain = channel.sostenuto = false;
      channel.expression = constants.defaultExpression;
      for (const note of channel.sounding) note.latched = false;
      channel.gains.push([time, gain(channel.volume, channel.expression)]);
    } else if (number === ALL_SOUND_OFF || number >= ALL_NOTES_OFF) {
      for (const note of channel.sounding) {
        note.keyDown = false;
        note.latched &&= number !== ALL_SOUND_OFF;
      }
      for (const key of this.keys.keys()) {
        if (Number(key.split(" ")[1]) === message.channel) this.keys.set(key, 0);
      }
      if (number === ALL_SOUND_OFF) {
        this.release(channel, time, true);
        return;
      }
    } else if (number === VOLUME || number === EXPRESSION) {
      if (number === VOLUME) channel.volume = value;
      else channel.expression = value;
      channel.gains.push([time, gain(channel.volume, channel.expression)]);
    } else if (number === PAN) {
      channel.pans.push([time, Math.max((value - constants.defaultPan) / 63, -1)]);
    }
    this.release(channel, time);
  }

  /** End the notes of a channel that neither a key nor a pedal holds any longer. */
  private release(channel: Channel, time: number, silence = false): void {
    const kept: Sounding[] = [];
    for (const note of channel.sounding) {
      if (!silence && (note.keyDown || note.latched || channel.sustain)) kept.push(note);
      else this.end(note, time);
    }
    channel.sounding = kept;
  }

  private end(note: Sounding, time: number): void {
    const key = note.part.join(" ");
    let part = this.parts.get(key);
    if (!part) this.parts.set(key, (part = { part: note.part, notes: [] }));
    part.notes.push({ pitch: note.pitch, velocity: note.velocity, start: note.start, end: time });
  }
}

function isNoteOn(message: Message): boolean {
  return message.kind === "note_on" && message.b > 0;
}

/** The track, channel and pitch that are struck more often than they are released. */
function keysWithoutNoteOffs(midi: MidiFile): Set<string> {
  const balance = new Map<string, number>();
  midi.tracks.forEach((track, index) => {
    for (const message of track) {
      if (message.kind !== "note_on" && message.kind !== "note_off") continue;
      const key = `${index} ${message.channel} ${message.a}`;
      balance.set(key, (balance.get(key) ?? 0) + (isNoteOn(message) ? 1 : -1));
    }
  });
  return new Set([...balance].filter(([, excess]) => excess > 0).map(([key]) => key));
}

/** Amplitude by General MIDI's recommendation, relative to the default volume. */
function gain(volume: number, expression: number): number {
  const level = volume / constants.defaultVolume;
  const share = expression / constants.defaultExpression;
  return level * level * (share * share);
}

/** A curve that starts at `initial`; of several points at one time, the last one stands. */
function automation(points: [number, number][], initial: number): Automation {
  if (!points.length) return constant(initial);
  const curve = new Map<number, number>([[0, initial], ...points]);
  return { times: [...curve.keys()], values: [...curve.values()] };
}
