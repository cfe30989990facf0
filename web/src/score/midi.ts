// Standard MIDI Files → Score. Reads as src/timbrel/score/midi.py does; tests/web/golden holds both to
// the same files.

import constants from "../constants.json";
import { BEND_CENTRE, Channel, Curve, SUSTAIN } from "./channels";
import { midiInside } from "./container";
import { settingsOf } from "./exclusive";
import { channelKey, isNoteOn, Keys, strokesWithNoteOffs, type Sounding } from "./keys";
import { valueAt, type Automation, type Note, type Score, type Unplayable } from "./score";
import {
  CHANNEL_PRESSURE,
  CONTROL,
  KEY_PRESSURE,
  META,
  MidiError,
  NOTE_OFF,
  NOTE_ON,
  parseSmf,
  PITCH_BEND,
  PROGRAM,
  SYSEX,
  TRACK_NAME,
  type MidiFile,
} from "./smf";
import { decoded } from "./text";
import { Timeline, type Event } from "./timeline";

const DRUM_TRACK_NAME = "Drums";

/** Read a file's bytes; errors say what is wrong in words that follow the file's name. */
export function parseMidi(bytes: Uint8Array): Score {
  const { data, warnings } = midiInside(bytes);
  const midi = parseSmf(data);
  const performance = new Performance(midi);
  performance.play();
  const score = performance.score([...warnings, ...midi.warnings]);
  const { drum_notes: drums, notes_outside_21_108: outside } = score.unplayable;
  if (midi.failure && !score.tracks.length && !drums && !outside) {
    throw new MidiError(midi.failure);
  }
  return score;
}

/** The notes of one track, port, channel and program, of drums or not. */
interface Part {
  track: number;
  port: Event["port"];
  number: number;
  program: number;
  isDrums: boolean;
  notes: Note[];
}

/** Plays the events of a file and notes down what sounds. */
class Performance {
  private readonly timeline: Timeline;
  private readonly answered: number[];
  private nNoteOns = 0;
  private readonly channels = new Map<string, Channel>();
  private readonly changed = new Set<Channel>(); // since the last reset of the device
  private readonly struck = new Set<Channel>(); // in this piece
  private isGs = false;
  private readonly masterGains = new Curve(1);
  private readonly masterTunings = new Curve(0);
  private masterCoarse = 0;
  private masterShift = 0;
  private readonly parts = new Map<string, Part>();
  private readonly names = new Map<number, string>();
  private readonly counts = new Map<Unplayable, number>();
  private readonly detuned = new Set<Channel | string>(); // channels, and what tunes all of them
  private pedalEvents = 0;
  private nCurvePoints = 0;
  private last = 0; // when a note began or ended the last time

  constructor(midi: MidiFile) {
    this.timeline = new Timeline(midi);
    this.answered = strokesWithNoteOffs(this.timeline);
  }

  /** Follow all events; pieces of a type 2 file in turn. */
  play(): void {
    let end = 0;
    for (let index = 0; index < this.timeline.length; index++) {
      this.last = end;
      for (const event of this.timeline.sequence(index, end)) {
        this.follow(event);
        end = event.time;
      }
      end = Math.min(end, this.last + constants.longestHoldS);
      const { last } = this;
      for (const channel of this.struck) channel.keys.finish(last, end);
      this.struck.clear();
    }
  }

  /** What was played. */
  score(warnings: string[]): Score {
    const parts = [...this.parts.values()].sort(
      (a, b) =>
        a.track - b.track ||
        comparePorts(a.port, b.port) ||
        a.number - b.number ||
        a.program - b.program ||
        Number(a.isDrums) - Number(b.isDrums),
    );
    const used = new Map(parts.map(({ port }) => [String(port), port]));
    const ports = [...used.values()].sort(comparePorts).map(String);
    const curves = new Map<string, ReturnType<typeof this.curves>>();
    const tracks = parts.map(({ track, port, number, program, isDrums, notes }) => {
      const key = channelKey(port, number);
      if (!curves.has(key)) curves.set(key, this.curves(key));
      notes.sort((a, b) => a.start - b.start || a.pitch - b.pitch);
      return {
        name:
          this.names.get(track) || (isDrums ? DRUM_TRACK_NAME : constants.programNames[program]),
        program,
        channel: number,
        notes,
        port: ports.indexOf(String(port)),
        isKit: isDrums,
        ...curves.get(key)!,
      };
    });
    if (this.detuned.size) this.counts.set("fine_tunings", this.detuned.size);
    const counted = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      tracks: tracks.filter((_, i) => !parts[i].isDrums),
      pedalEvents: this.pedalEvents,
      unplayable: Object.fromEntries(counted),
      drumTracks: tracks.filter((_, i) => parts[i].isDrums),
      warnings,
    };
  }

  /** Gain, pan, bend, tuning and vibrato of a channel, with those of the whole device. */
  private curves(key: string) {
    const channel = this.channels.get(key)!;
    const gain = channel.gains.automation();
    const tuning = channel.tunings.automation();
    return {
      gain: this.withMaster(gain, this.masterGains, (a, b) => a * b),
      pan: channel.isPanned ? channel.pans.automation() : null,
      reverb: channel.reverbs.automation(),
      chorus: channel.choruses.automation(),
      bend: channel.bends.automation(),
      tuning: this.withMaster(tuning, this.masterTunings, (a, b) => a + b),
      vibrato: channel.vibratos.automation(),
    };
  }

  private withMaster(
    curve: Automation,
    master: Curve,
    combine: (a: number, b: number) => number,
  ): Automation {
    if (master.isInitial) return curve;
    const ofAll = master.automation();
    const times = [...new Set([...curve.times, ...ofAll.times])].sort((a, b) => a - b);
    this.nCurvePoints += times.length;
    if (this.nCurvePoints > constants.maxCurvePoints) {
      throw new MidiError("changes the volume or tuning of the whole device too often");
    }
    const values = times.map((time) => combine(valueAt(curve, time), valueAt(ofAll, time)));
    return { times, values };
  }

  private follow(event: Event): void {
    const { status, first, second, time } = event;
    if (status === SYSEX) {
      this.exclusive(event);
      return;
    }
    if (status === META) {
      if (first === TRACK_NAME && !this.names.has(event.track)) {
        this.names.set(event.track, decoded(event.data));
      }
      return;
    }
    const channel = this.channel(event.port, event.channel);
    if (isNoteOn(event)) this.noteOn(event, channel);
    else if (status === NOTE_ON || status === NOTE_OFF) {
      if (channel.keys.release(event.track, first, time)) this.reach(time);
    } else if (status === CONTROL) {
      const kind = channel.unplayable(first, second);
      if (kind) this.count(kind);
      if (first === SUSTAIN) this.pedalEvents += 1;
      channel.control(first, second, time);
    } else if (status === PROGRAM) channel.chooseProgram(first, this.isGs);
    else if (status === PITCH_BEND) {
      const value = (first | (second << 7)) - BEND_CENTRE;
      if (value) this.count("pitch_bends");
      channel.bend(value, time);
    } else if (status === KEY_PRESSURE) {
      if (second) this.count("key_pressure");
    } else if (status === CHANNEL_PRESSURE && first) this.count("channel_pressure");
  }

  private count(kind: Unplayable): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  private channel(port: Event["port"], number: number): Channel {
    const key = channelKey(port, number);
    let channel = this.channels.get(key);
    if (!channel) {
      const keys = new Keys((note, time) => this.end(note, time));
      this.channels.set(key, (channel = new Channel(number, keys)));
    }
    this.changed.add(channel);
    return channel;
  }

  private noteOn(event: Event, channel: Channel): void {
    const answered = this.answered[this.nNoteOns++];
    this.reach(event.time);
    let pitch = event.first;
    let detune = 0;
    if (channel.isDrums) this.count("drum_notes");
    else {
      pitch += channel.coarseTuning + channel.shift + this.masterCoarse + this.masterShift;
      if (pitch < constants.lowestPitch || pitch > constants.highestPitch) {
        this.count("notes_outside_21_108");
        return;
      }
      detune = channel.scale[event.first % channel.scale.length];
      if (channel.fineTuning) this.detuned.add(channel);
      if (this.masterTunings.last) this.detuned.add("master");
    }
    const part = this.part(event, channel).notes;
    const note = { part, pitch, detune, velocity: event.second };
    channel.keys.strike(event.track, event.first, event.time, note, answered);
    this.struck.add(channel);
  }

  private part({ track, port, channel: number }: Event, { program, isDrums }: Channel): Part {
    const key = `${track} ${channelKey(port, number)} ${program} ${isDrums}`;
    let part = this.parts.get(key);
    if (!part) {
      this.parts.set(key, (part = { track, port, number, program, isDrums, notes: [] }));
    }
    return part;
  }

  private end({ part, pitch, detune, velocity, start }: Sounding, time: number): void {
    this.reach(time);
    part.push({ pitch, velocity, start, end: time, detune });
  }

  /** Something begins or ends to sound. */
  private reach(time: number): void {
    if (!(time <= constants.maxDurationS)) {
      throw new MidiError(`lasts longer than ${constants.maxDurationS / 3600} hours`);
    }
    this.last = time;
  }

  private exclusive({ data, port, time }: Event): void {
    for (const { kind, value, part, scale } of settingsOf(data)) {
      if (kind === "reset") this.reset(time, value === 1);
      else if (kind === "master volume") this.masterGains.change(time, value * value);
      else if (kind === "master fine tuning") this.masterTunings.change(time, value);
      else if (kind === "master coarse tuning") this.masterCoarse = value;
      else if (kind === "master key shift") this.masterShift = value;
      else if (kind === "scale tuning" && !scale.length) this.detuned.add(kind);
      else {
        const channel = this.channel([port[0] + Math.floor(part / 16), port[1]], part % 16);
        if (kind === "scale tuning") {
          this.detuned.add(kind);
          channel.scale = scale;
        } else if (kind === "drums") channel.setDrums(value === 1);
        else channel.shift = value;
      }
    }
  }

  private reset(time: number, isGs: boolean): void {
    this.isGs = isGs;
    for (const channel of this.changed) channel.reset(time);
    this.changed.clear();
    this.masterGains.change(time, 1);
    this.masterTunings.change(time, 0);
    this.masterCoarse = this.masterShift = 0;
  }
}

function comparePorts(a: Event["port"], b: Event["port"]): number {
  return a[0] - b[0] || a[1] - b[1];
}
