// What a MIDI channel remembers: its program, whether it is drums, controllers and tunings, as
// src/timbrel/score/channels.py.

import constants from "../constants.json";
import { ALL_SOUND_OFF, releasesKeys, type Keys } from "./keys";
import type { Automation, Unplayable } from "./score";

const BANK = 0;
const MODULATION = 1;
const DATA = 6;
const VOLUME = 7;
const PAN = 10;
const EXPRESSION = 11;
const DATA_LOW = 38;
const REVERB = 91;
const CHORUS = 93;
export const SUSTAIN = 64;
const SOSTENUTO = 66;
const UNREGISTERED_LOW = 98;
const UNREGISTERED = 99;
const REGISTERED_LOW = 100;
const REGISTERED = 101;
const RESET_CONTROLLERS = 121;

// Registered parameters, high × 128 + low.
const BEND_RANGE = 0;
const FINE_TUNING = 1;
const COARSE_TUNING = 2;
const NO_PARAMETER = 127 * 128 + 127;
export const BEND_CENTRE = 8192;
const EQUAL: readonly number[] = new Array<number>(12).fill(0);

const UNPLAYABLE_CONTROLS = new Map(
  constants.unplayableControls.map(({ number, kind, neutral: [start, stop] }) => [
    number,
    { kind: kind as Unplayable, changes: (value: number) => value < start || value >= stop },
  ]),
);

/** A value over time; of several at one time, the last one stands. */
export class Curve {
  readonly times = [0];
  readonly values: number[];

  constructor(private readonly initial: number) {
    this.values = [initial];
  }

  /** Set the value from a time on, which is not before the last one. */
  add(time: number, value: number): void {
    if (time === this.times[this.times.length - 1]) this.values[this.values.length - 1] = value;
    else {
      this.times.push(time);
      this.values.push(value);
    }
  }

  /** Set the value from a time on, if it is another than before. */
  change(time: number, value: number): void {
    if (value !== this.last) this.add(time, value);
  }

  get last(): number {
    return this.values[this.values.length - 1];
  }

  /** Whether it never leaves its first value. */
  get isInitial(): boolean {
    return this.values.length === 1 && this.values[0] === this.initial;
  }

  automation(): Automation {
    return { times: this.times, values: this.values };
  }
}

/** One of the 16 channels of a port. */
export class Channel {
  readonly gains = new Curve(gain(constants.defaultVolume, constants.defaultExpression));
  readonly pans = new Curve(0);
  isPanned = false; // whether a pan was ever set
  readonly reverbs = new Curve(constants.defaultReverbSend);
  readonly choruses = new Curve(0);
  readonly bends = new Curve(0); // semitones
  readonly tunings = new Curve(0); // semitones
  readonly vibratos = new Curve(0); // semitones
  program = 0;
  isDrums = false;
  shift = 0; // of the keys, by an exclusive message; semitones
  /** Of the notes that begin: semitones for each key of an octave, from C. */
  scale = EQUAL;
  private bank = 0;
  private isDrumsByBank = false;
  private volume = constants.defaultVolume;
  private expression = constants.defaultExpression;
  private bent = 0;
  private parameter = NO_PARAMETER;
  private isRegistered = true;
  private entries = new Map<number, [number, number]>();

  constructor(
    private readonly number: number,
    readonly keys: Keys,
  ) {
    this.setDefaults();
  }

  private setDefaults(): void {
    this.program = this.bank = 0;
    this.isDrums = this.number === constants.drumChannel;
    this.isDrumsByBank = false;
    this.shift = 0;
    this.scale = EQUAL;
    this.volume = constants.defaultVolume;
    this.expression = constants.defaultExpression;
    this.bent = 0;
    this.forgetParameter();
    this.entries = new Map([
      [BEND_RANGE, [2, 0]],
      [FINE_TUNING, [64, 0]],
      [COARSE_TUNING, [64, 0]],
    ]);
  }

  /** By the registered parameter, in semitones. */
  get coarseTuning(): number {
    return this.entries.get(COARSE_TUNING)![0] - 64;
  }

  /** By the registered parameter, in semitones. */
  get fineTuning(): number {
    const [high, low] = this.entries.get(FINE_TUNING)!;
    return (((high << 7) | low) - 0x2000) / 0x2000;
  }

  /** Set everything to its default, as when the device is switched on. */
  reset(time: number): void {
    this.keys.silence(time);
    this.keys.setSustain(false, time);
    this.keys.setSostenuto(false, time);
    this.setDefaults();
    this.gains.change(time, gain(constants.defaultVolume, constants.defaultExpression));
    const { pans, choruses, bends, tunings, vibratos } = this;
    for (const curve of [pans, choruses, bends, tunings, vibratos]) curve.change(time, 0);
    this.reverbs.change(time, constants.defaultReverbSend);
  }

  /**
   * Follow a program change, with which the bank that was chosen before begins to count. GS devices
   * have messages of their own for what is drums. On the others a bank makes a channel drums;
   * channel 10 ends to be so only by GM2's bank of melody instruments, since many files choose bank
   * 0 on all channels.
   */
  chooseProgram(program: number, isGs: boolean): void {
    this.program = program;
    if (isGs) return;
    if (constants.drumBanks.includes(this.bank)) {
      this.isDrumsByBank ||= !this.isDrums;
      this.isDrums = true;
    } else if (this.bank === constants.melodyBank || this.isDrumsByBank) {
      this.isDrums = this.isDrumsByBank = false;
    }
  }

  /** Follow an exclusive message. */
  setDrums(isDrums: boolean): void {
    this.isDrums = isDrums;
    this.isDrumsByBank = false;
  }

  /** Follow a pitch bend, −8192 to 8191. */
  bend(value: number, time: number): void {
    this.bent = value;
    const [semitones, cents] = this.entries.get(BEND_RANGE)!;
    this.bends.add(time, (value / BEND_CENTRE) * (semitones + cents / 100));
  }

  /** What a controller asks for and no model plays. */
  unplayable(number: number, value: number): Unplayable | undefined {
    // A setting of the device; no two makers have the same.
    if (number === DATA && !this.isRegistered) return "sound_controllers";
    const control = UNPLAYABLE_CONTROLS.get(number);
    return control?.changes(value) ? control.kind : undefined;
  }

  /** Follow a controller. */
  control(number: number, value: number, time: number): void {
    const isDown = value >= constants.pedalThreshold;
    if (number === BANK) this.bank = value;
    else if (number === SUSTAIN) this.keys.setSustain(isDown, time);
    else if (number === SOSTENUTO) this.keys.setSostenuto(isDown, time);
    else if (number === ALL_SOUND_OFF) this.keys.silence(time);
    else if (releasesKeys(number)) this.keys.releaseAll(time);
    else if (number === RESET_CONTROLLERS) this.resetControllers(time);
    else if (number === VOLUME || number === EXPRESSION) {
      if (number === VOLUME) this.volume = value;
      else this.expression = value;
      this.gains.add(time, gain(this.volume, this.expression));
    } else if (number === MODULATION) {
      this.vibratos.change(time, (value / 128) * constants.vibratoDepth);
    } else if (number === PAN) {
      this.isPanned = true;
      this.pans.add(time, Math.max((value - constants.defaultPan) / 63, -1));
    } else if (number === REVERB) {
      this.reverbs.change(time, value / 127);
    } else if (number === CHORUS) {
      this.choruses.change(time, value / 127);
    } else if (number >= UNREGISTERED_LOW && number <= REGISTERED) {
      this.chooseParameter(number, value);
    } else if (number === DATA || number === DATA_LOW) this.enter(number, value, time);
  }

  /** As recommended (RP-015): volume, pan, program and tunings stay. */
  private resetControllers(time: number): void {
    this.keys.setSustain(false, time);
    this.keys.setSostenuto(false, time);
    this.expression = constants.defaultExpression;
    this.gains.add(time, gain(this.volume, this.expression));
    this.forgetParameter();
    this.vibratos.change(time, 0);
    if (this.bent) this.bend(0, time);
  }

  private forgetParameter(): void {
    this.parameter = NO_PARAMETER;
    this.isRegistered = true;
  }

  private chooseParameter(number: number, value: number): void {
    this.isRegistered = number === REGISTERED || number === REGISTERED_LOW;
    const isHigh = number === REGISTERED || number === UNREGISTERED;
    this.parameter = isHigh
      ? value * 128 + (this.parameter % 128)
      : Math.floor(this.parameter / 128) * 128 + value;
  }

  private enter(number: number, value: number, time: number): void {
    const entry = this.isRegistered ? this.entries.get(this.parameter) : undefined;
    if (!entry) return;
    const [high, low] = entry;
    this.entries.set(this.parameter, number === DATA ? [value, low] : [high, value]);
    if (this.parameter === FINE_TUNING) this.tunings.change(time, this.fineTuning);
    else if (this.parameter === BEND_RANGE && this.bent) this.bend(this.bent, time);
  }
}

/** Amplitude by General MIDI's recommendation, relative to the default volume. */
function gain(volume: number, expression: number): number {
  const level = volume / constants.defaultVolume;
  const share = expression / constants.defaultExpression;
  return level * level * (share * share);
}
