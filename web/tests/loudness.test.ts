import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Spool } from "../src/audio/spool";
import constants from "../src/constants.json";
import { expectedLoudness } from "../src/engine/expected_loudness";
import { CEILING_DB, Limiter } from "../src/engine/limiter";
import { decibels, factorOf, LoudnessMeter, type Sides } from "../src/engine/loudness";
import { fittedGain, mastered } from "../src/engine/mastering";
import { plainTrack } from "../src/score/score";

const RATE = 16000;
const GOLDEN = join(import.meta.dirname, "..", "..", "tests", "web", "golden", "loudness.json");
const golden = JSON.parse(readFileSync(GOLDEN, "utf8"));

/** Both sides of a sum of sines, as Python's golden file has it. */
function tones(n: number, parts: { hz: number; left: number; right: number }[]): Sides {
  const side = (level: "left" | "right") =>
    Float32Array.from({ length: n }, (_, i) =>
      parts.reduce(
        (sum, part) => sum + part[level] * Math.sin((2 * Math.PI * part.hz * i) / RATE),
        0,
      ),
    );
  return [side("left"), side("right")];
}

async function* inBlocks([left, right]: Sides, size: number): AsyncGenerator<Sides> {
  for (let at = 0; at < left.length; at += size) {
    yield [left.subarray(at, at + size), right.subarray(at, at + size)];
  }
}

async function whole(blocks: AsyncIterable<Sides>): Promise<Sides> {
  const out: [number[], number[]] = [[], []];
  for await (const block of blocks) block.forEach((side, i) => out[i].push(...side));
  return [Float32Array.from(out[0]), Float32Array.from(out[1])];
}

function measured(sides: Sides, size = 777) {
  const meter = new LoudnessMeter(RATE);
  for (let at = 0; at < sides[0].length; at += size) {
    meter.add(sides.map((side) => side.subarray(at, at + size)) as Sides);
  }
  return meter.measured;
}

it("measures what Python measures", () => {
  for (const { n, parts, lufs, peak_db } of golden.meter) {
    const found = measured(tones(n, parts));
    expect(found.lufs).toBeCloseTo(lufs, 2);
    expect(found.peakDb).toBeCloseTo(peak_db, 3);
  }
  const silence = measured([new Float32Array(9000), new Float32Array(9000)]);
  expect([silence.lufs, silence.peakDb]).toEqual([-Infinity, -Infinity]);
});

it("limits as Python does, in blocks of any size", async () => {
  const { n, parts, gain_db, samples } = golden.limiter;
  const sides = tones(n, parts);
  const once = await whole(mastered(inBlocks(sides, n), RATE, gain_db));
  for (const [at, left, right] of samples) {
    expect(once[0][at]).toBeCloseTo(left, 5);
    expect(once[1][at]).toBeCloseTo(right, 5);
  }
  expect(once[0].length).toBe(n);
  expect(measured(once).peakDb).toBeLessThan(constants.limiter.ceilingDbtp);
  const often = await whole(mastered(inBlocks(sides, 333), RATE, gain_db));
  once.forEach((side, k) => side.forEach((value, i) => expect(often[k][i]).toBeCloseTo(value, 6)));
});

it("lets sound below the ceiling pass with the gain alone", () => {
  const limiter = new Limiter(RATE, 6);
  const sides = tones(5000, [{ hz: 440, left: 0.1, right: 0.3 }]);
  const { mix } = limiter.process(sides, limiter.start());
  expect(mix[0].length).toBe(5000 - limiter.delay);
  mix[1].forEach((value, i) => expect(value).toBeCloseTo(factorOf(6) * sides[1][i], 6));
});

it("gives a mix its loudness, and takes 6 dB off its peaks at most", async () => {
  const soft = tones(RATE * 2, [{ hz: 500, left: 0.01, right: 0.01 }]);
  const gain = await fittedGain(measured(soft), () => inBlocks(soft, 4000), RATE, -16);
  const loud = await whole(mastered(inBlocks(soft, 4000), RATE, gain));
  expect(measured(loud).lufs).toBeCloseTo(-16, 1);

  // One peak in what is soft: what the limiter may take decides.
  soft[0][9000] = soft[1][9000] = 0.9;
  const bound = await fittedGain(measured(soft), () => inBlocks(soft, 4000), RATE, -16);
  const most = CEILING_DB + constants.loudness.maxLimitingDb - measured(soft).peakDb;
  expect(bound).toBeCloseTo(most, 6);
  const nothing: Sides = [new Float32Array(9000), new Float32Array(9000)];
  expect(await fittedGain(measured(nothing), () => inBlocks(nothing, 500), RATE, -16)).toBe(0);
});

it("expects of a score what Python expects", () => {
  for (const { tracks, timbres, model, seconds, lufs } of golden.expected) {
    const played = tracks.map((one: { notes: number[][]; gain: [number[], number[]] }) => ({
      ...plainTrack(
        "",
        one.notes.map(([pitch, velocity, start, end]) => ({
          pitch,
          velocity,
          start,
          end,
          detune: 0,
        })),
      ),
      gain: { times: one.gain[0], values: one.gain[1] },
    }));
    expect(expectedLoudness(played, timbres, model, seconds)).toBeCloseTo(lufs, 3);
  }
});

it("keeps sound to be heard more than once", async () => {
  const spool = new Spool();
  const sides = tones(700_000, [{ hz: 300, left: 0.5, right: 0.25 }]);
  for await (const block of inBlocks(sides, 70_001)) spool.add(block);
  const replay = spool.finish();
  for (let i = 0; i < 2; i++) {
    let at = 0;
    for await (const [left, right] of replay()) {
      expect(left).toEqual(sides[0].subarray(at, at + left.length));
      expect(right).toEqual(sides[1].subarray(at, at + right.length));
      at += left.length;
    }
    expect(at).toBe(700_000);
  }
  expect(decibels(10)).toBeCloseTo(20);
});
