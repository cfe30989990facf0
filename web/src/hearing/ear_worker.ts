// The ear: a Worker that finds timbres and notes in recordings. It starts when a sound is given, and
// loads the model that is wished.

import { loadFiles, receivedBytes, type BundleEntry } from "../engine/bundle";
import { turn } from "../engine/offline";
import { prepareRuntime } from "../engine/runtime";
import { Transcriber } from "../transcription/transcriber";
import type { TranscriberConfig } from "../transcription/sizes";
import { Dictation } from "./dictation";
import { Encoder, type EncoderConfig, type Told } from "./encoder";
import { foundTimbre } from "./found";
import type { FromEar, ToEar } from "./messages";
import { openEncoder, openTranscriber } from "./networks";
import { lookInto, type Recording } from "./recording";
import { resampled } from "./resampling";

type Asked = Extract<ToEar, { kind: "hear" }>;
type Listening = Extract<ToEar, { kind: "listen" }>;
type States = Parameters<Awaited<ReturnType<typeof openTranscriber>>["run"]>[2];

class Forgotten extends Error {}

let base = "";
const forgotten = new Set<number>();
const encoders = new Map<string, Promise<Encoder>>();
const transcribers = new Map<string, Promise<Transcriber<States>>>();
const dictations = new Map<number, Dictation<States>>();

function say(message: FromEar): void {
  self.postMessage(message);
}

/** A model's files, once their checksums are right. */
async function filesOf(entry: BundleEntry): Promise<Record<string, Uint8Array>> {
  const { files, checked } = await loadFiles(entry, (path) =>
    receivedBytes(new URL(path, base).href),
  );
  await checked;
  return files;
}

async function loadEncoder({ entry, points }: Asked): Promise<Encoder> {
  const network = await openEncoder(await filesOf(entry));
  return new Encoder(entry.config as unknown as EncoderConfig, points, network);
}

async function loadTranscriber({ entry }: Asked | Listening): Promise<Transcriber<States>> {
  const network = await openTranscriber(await filesOf(entry));
  return new Transcriber(entry.config as unknown as TranscriberConfig, network);
}

/** What is loaded once; what failed may be tried again. */
function once<T, A extends Asked | Listening>(
  known: Map<string, Promise<T>>,
  asked: A,
  load: (asked: A) => Promise<T>,
): Promise<T> {
  const { name } = asked.entry.config;
  let found = known.get(name);
  if (!found) {
    known.set(name, (found = load(asked)));
    found.catch(() => known.delete(name));
  }
  return found;
}

async function hear(asked: Asked): Promise<void> {
  const { number, wish, channels, sampleRate } = asked;
  const recording = lookInto(channels, sampleRate);
  const told: Told = async (progress) => {
    say({ kind: "progress", number, progress });
    await turn(0);
    if (forgotten.delete(number)) throw new Forgotten();
  };
  if (wish === "timbre") await hearTimbre(asked, recording, told);
  else await hearNotes(asked, recording, told);
}

async function hearTimbre(asked: Asked, recording: Recording, told: Told): Promise<void> {
  const { number, points } = asked;
  const { remarks } = recording;
  if (recording.isSilent) return say({ kind: "timbre", number, found: null, remarks });
  const encoder = await once(encoders, asked, loadEncoder);
  const rate = asked.entry.config.mel.sample_rate;
  const audio = resampled(recording.audio, recording.sampleRate, rate);
  const windows = await encoder.hear(audio, told);
  say({ kind: "timbre", number, found: foundTimbre(windows, points, encoder.shared), remarks });
}

async function hearNotes(asked: Asked, recording: Recording, told: Told): Promise<void> {
  const { number } = asked;
  const { remarks } = recording;
  if (recording.isSilent) return say({ kind: "notes", number, transcription: null, remarks });
  const transcriber = await once(transcribers, asked, loadTranscriber);
  const rate = asked.entry.config.model.sample_rate as number;
  const audio = resampled(recording.audio, recording.sampleRate, rate);
  say({ kind: "notes", number, transcription: await transcriber.hear(audio, told), remarks });
}

async function listen(asked: Listening): Promise<void> {
  const { number, sampleRate, port } = asked;
  const transcriber = await once(transcribers, asked, loadTranscriber);
  if (forgotten.delete(number)) return port.close();
  const dictation = new Dictation(transcriber, sampleRate, (news) => say({ number, ...news }));
  dictations.set(number, dictation);
  port.onmessage = ({ data }: MessageEvent<Float32Array>) => dictation.take(data);
  say({ kind: "listening", number });
}

async function finish(number: number): Promise<void> {
  const transcription = await dictations.get(number)!.finish();
  dictations.delete(number);
  say({ kind: "notes", number, transcription, remarks: [] });
}

function forget(number: number): void {
  forgotten.add(number);
  dictations.get(number)?.end();
  dictations.delete(number);
}

self.onmessage = ({ data }: MessageEvent<ToEar>) => {
  if (data.kind === "runtime") {
    base = data.base;
    prepareRuntime(Promise.resolve(data.module));
    return;
  }
  if (data.kind === "forget") return forget(data.number);
  const { number } = data;
  const done =
    data.kind === "hear" ? hear(data) : data.kind === "listen" ? listen(data) : finish(number);
  done.catch((error: Error) => {
    if (error instanceof Forgotten) return;
    say({ kind: "failed", number, message: error.message });
  });
};
