// Playing by microphone: what is told as it is heard, how late it is, and that no key hangs.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import constants from "../src/constants.json";
import { Dictation, LONGEST_NOTE_S, MOST_WAITING_S } from "../src/hearing/dictation";
import type { Ear } from "../src/hearing/ear";
import { liveBlockSize, liveLatency } from "../src/hearing/live_latency";
import type { LiveNews } from "../src/hearing/messages";
import { FRAME, N_HEADS, ONSET, framesAhead, VELOCITY, type TranscriberConfig } from "../src/transcription/sizes"; // prettier-ignore
import { Transcriber } from "../src/transcription/transcriber";
import { Live, type LiveStage } from "../src/ui/live.svelte";
import type { Models } from "../src/ui/models.svelte";
import type { Transport } from "../src/ui/transport.svelte";

const MODEL = join(import.meta.dirname, "..", "..", "src/timbrel/models/transcriber/config.json");
const config: TranscriberConfig = JSON.parse(readFileSync(MODEL, "utf8"));
const { sample_rate: RATE, hop_length: HOP } = config.model;
const KEY = 40;
const PITCH = KEY + constants.lowestPitch;

/** A network that hears one note, from frame `from` to before `to`; a call takes as long as `gate`. */
function hearing(from: number, to: number, gate: () => Promise<void> = async () => {}) {
  return new Transcriber<number>(config, {
    start: () => 0,
    async run(_, [, , nFrames], first) {
      await gate();
      const values = new Float32Array(nFrames * constants.nPitches * N_HEADS);
      for (let i = 0; i < nFrames; i++) {
        const frame = first + i - framesAhead(config.model);
        const at = (i * constants.nPitches + KEY) * N_HEADS;
        values[at + ONSET] = Number(frame === from);
        values[at + FRAME] = Number(frame >= from && frame < to);
        values[at + VELOCITY] = 0.5;
      }
      return { values, state: first + nFrames };
    },
  });
}

const block = () => new Float32Array(4 * HOP);
const blocksIn = (seconds: number) => Math.ceil((seconds * RATE) / (4 * HOP));
/** How many seconds were heard. */
const pace = (news: LiveNews[]) =>
  news.reduce((heardS, one) => (one.kind === "pace" ? one.heardS : heardS), 0);
const soon = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("a dictation", () => {
  it("tells notes as they begin and end, and gives all of them", async () => {
    const news: LiveNews[] = [];
    const dictation = new Dictation(hearing(10, 40), RATE, (one) => news.push(one));
    for (let i = 0; i < blocksIn(3); i++) {
      dictation.take(block());
      if (i % 3 === 0) await soon(); // the others are heard together
    }
    await vi.waitFor(() => expect(pace(news)).toBeGreaterThan(3), { timeout: 100_000 });
    const told = news.filter(({ kind }) => kind !== "pace");
    expect(told).toMatchObject([
      { kind: "begun", note: { pitch: PITCH, velocity: 64, startS: (10 * HOP) / RATE } },
      { kind: "over", note: { pitch: PITCH }, heard: { endS: (40 * HOP) / RATE } },
    ]);
    const { notes } = await dictation.finish();
    expect(notes).toHaveLength(1);
    expect(pace(news)).toBeCloseTo((blocksIn(3) * 4 * HOP) / RATE);
  });

  it("ends a note in time, though its key seems to sound for ever", async () => {
    const news: LiveNews[] = [];
    const dictation = new Dictation(hearing(10, Infinity), RATE, (one) => news.push(one));
    for (let heard = 0; heard < LONGEST_NOTE_S + 2; heard++) {
      for (let i = 0; i < blocksIn(1); i++) dictation.take(block());
      await vi.waitFor(() => expect(pace(news)).toBeGreaterThan(heard), { timeout: 100_000 });
    }
    const { notes } = await dictation.finish();
    expect(notes).toHaveLength(1);
    expect(notes[0].endS - notes[0].startS).toBeCloseTo(LONGEST_NOTE_S, 1);
  });

  it("that cannot keep up ends in words, with bounded memory, and keeps what was heard", async () => {
    let open = () => {};
    const closed = new Promise<void>((resolve) => (open = resolve));
    let calls = 0;
    const gate = () => (calls++ ? closed : Promise.resolve());
    const news: LiveNews[] = [];
    const dictation = new Dictation(hearing(2, 1000, gate), RATE, (one) => news.push(one));
    for (let i = 0; i < 15; i++) dictation.take(block());
    await soon();
    for (let i = 0; i < 2 * blocksIn(MOST_WAITING_S); i++) dictation.take(block());
    expect(news.filter(({ kind }) => kind === "stuck")).toHaveLength(1);
    open();
    const { notes } = await dictation.finish();
    expect(notes.map(({ pitch }) => pitch)).toEqual([PITCH]);
    const last = news.at(-1)!;
    expect(last.kind === "stuck" && last.message).toContain("too slow");
  });
});

it("how late a note is follows from the model's sizes, the block and the computer", () => {
  const delays = { inputS: 0.01, computeMs: 12.2, playingMs: 61 };
  const { windows, dilations, ahead } = config.model;
  const frames = dilations.reduce((sum, dilation, i) => sum + dilation * ahead[i], constants.transcription.stemAhead); // prettier-ignore
  // Half of the longest window, what the network looks ahead, and the frames until a peak is known.
  const modelMs =
    (1000 * (Math.max(...windows) / 2 + (frames + constants.transcription.peakFrames) * HOP)) /
    RATE;
  const found = liveLatency(config, RATE, delays);
  const blockMs = (1000 * liveBlockSize(config, RATE)) / RATE;
  expect(found.recognisingMs).toBe(Math.round(modelMs + 12.2));
  expect(found.microphoneMs).toBe(Math.round(10 + blockMs));
  expect(found.totalMs).toBe(found.recognisingMs + found.microphoneMs + 61);
  // Another model is another latency; at another rate it is resampled.
  const model = { ...config.model, ahead: ahead.map(() => 0) };
  expect(liveLatency({ ...config, model }, RATE, delays).recognisingMs).toBeLessThan(modelMs / 2);
  expect(liveLatency(config, 48_000, delays).recognisingMs).toBeGreaterThan(found.recognisingMs);
});

const device = vi.hoisted(() => ({ lost: () => {}, refused: "", closed: 0, listened: 0 }));
vi.mock("../src/audio/microphone", () => ({
  Microphone: {
    async open(lost: () => void) {
      if (device.refused) throw new Error(device.refused);
      device.lost = lost;
      return {
        ...{ sampleRate: 48_000, latencyS: 0, level: () => 0.5 },
        listen: async () => void device.listened++,
        close: () => void device.closed++,
      };
    },
  },
}));

describe("playing by microphone", () => {
  let live: Live;
  let say: (news: LiveNews) => void;
  let broken: (error: Error) => void;
  /** Keys that are down, and how often the keyboard was begun and ended. */
  let down: Set<number>;
  let calls: string[];
  let playing: boolean;

  const note = (number: number, pitch: number) => ({ number, pitch, startS: number, velocity: 80 });
  const begin = (number: number, pitch: number) =>
    say({ kind: "begun", note: note(number, pitch) });
  const end = (number: number, pitch: number) =>
    say({ kind: "over", note: note(number, pitch), heard: { endS: number + 1 } as never });

  beforeEach(async () => {
    vi.stubGlobal("requestAnimationFrame", () => 0);
    vi.stubGlobal("document", { hidden: false });
    Object.assign(device, { refused: "", closed: 0, listened: 0 });
    [down, calls, playing] = [new Set(), [], false];
    const ear = {
      async listen(_: unknown, told: typeof say, fail: typeof broken) {
        [say, broken] = [told, fail];
        const heard = { kind: "notes", number: 0, transcription: null, remarks: [] };
        return { finish: async () => heard, forget: () => void calls.push("forget") };
      },
    };
    const stage: LiveStage = {
      begin: () => void calls.push("begin"),
      playKeys: async () => void (calls.push("play"), (playing = true)),
      restKeys: () => void (calls.push("rest"), (playing = false)),
      key: async (pitch, velocity) =>
        void (velocity ? down.add(pitch) : down.delete(pitch), calls.push(`${pitch}`)),
      take: ({ remarks }) => void calls.push(`take ${remarks.join()}`),
      say: () => {},
    };
    const models = { transcriber: { config } };
    const transport = { deviceRate: 48_000, keyMs: 50, get playing() { return playing; } }; // prettier-ignore
    live = new Live(
      ear as unknown as Ear,
      models as unknown as Models,
      transport as unknown as Transport,
      stage,
    );
    await live.start();
    expect([live.phase, device.listened]).toEqual(["listening", 1]);
    begin(0, 60);
    begin(1, 64);
    expect([...down]).toEqual([60, 64]);
    expect(live.held).toEqual([60, 64]);
  });

  it.each<[string, () => unknown, string]>([
    ["Stop is pressed", () => live.finish(), ""],
    ["the device is lost", () => device.lost(), "taken away"],
    ["the page is hidden", () => live.hidden(), "hidden"],
    ["the computer is too slow", () => say({ kind: "stuck", message: "too slow" }), "Too slow."],
  ])("lets all keys go and keeps the notes where %s", async (_, act, words) => {
    await act();
    await vi.waitFor(() => expect(calls.at(-1)).toMatch("take"));
    expect(calls.at(-1)).toContain(words);
    expect([down.size, live.held.length, live.phase, device.closed]).toEqual([0, 0, "off", 1]);
    expect(playing).toBe(false);
    // What comes late is not struck.
    begin(2, 67);
    expect(down.size).toBe(0);
    expect(live.notes.every((one) => one.end !== null)).toBe(true);
  });

  it.each<[string, () => unknown, string]>([
    ["the panel is closed", () => live.abort(), ""],
    ["hearing breaks", () => broken(new Error("it broke")), "it broke"],
  ])("lets all keys go where %s", async (_, act, words) => {
    await act();
    await vi.waitFor(() => expect(down.size).toBe(0));
    await soon();
    expect([live.phase, live.fault, device.closed, playing]).toEqual(["off", words, 1, false]);
    expect(calls).toContain("forget");
  });

  it("a note ends its own key only, and none is struck where they are only written down", async () => {
    // A bent note ends after its key was struck anew.
    begin(2, 60);
    end(0, 60);
    expect([...down].sort()).toEqual([60, 64]);
    end(2, 60);
    expect([...down]).toEqual([64]);
    await live.setPlays(false);
    expect([down.size, calls.at(-1)]).toEqual([0, "rest"]);
    begin(3, 72);
    expect(down.size).toBe(0);
    expect([live.count, live.held]).toEqual([4, [64, 72]]);
    expect(live.latency!.playingMs).toBe(0);
    await live.setPlays(true);
    begin(4, 74);
    expect([...down]).toEqual([74]);
    // Where the sound was stopped, no note begins it anew.
    playing = false;
    begin(5, 76);
    expect([...down]).toEqual([74]);
  });

  it("a refusal is told in words, and may be tried again", async () => {
    await live.finish();
    device.refused = "The microphone was not allowed.";
    await live.start();
    expect([live.phase, live.fault]).toEqual(["off", device.refused]);
    device.refused = "";
    await live.start();
    expect([live.phase, live.fault, live.count]).toEqual(["listening", "", 0]);
  });
});
