// The microphone: asked for when it is opened, and let go when it is closed. It is recorded as a file,
// or listened to block by block.

import listenerUrl from "./listener.ts?worker&url";
import type { ListenerOptions } from "./blocks";

/** What a recording is written as, the first that the browser can. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const BITS_PER_SECOND = 256_000;
const WANTED = {
  // These are made for calls, and change the sound of instruments.
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

export class Microphone {
  readonly source: MediaStreamAudioSourceNode;
  private readonly analyser: AnalyserNode;
  private readonly samples: Float32Array<ArrayBuffer>;
  private closed = false;

  private constructor(
    private readonly stream: MediaStream,
    readonly context: AudioContext,
    lost: () => void,
  ) {
    this.analyser = context.createAnalyser();
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source = context.createMediaStreamSource(stream);
    this.source.connect(this.analyser);
    const gone = () => !this.closed && lost();
    // It was unplugged or taken away, or the system has halted its sound, as for a call.
    for (const track of stream.getAudioTracks()) track.onended = gone;
    context.onstatechange = () => context.state !== "running" && gone();
  }

  /** Ask for the microphone; fails with words. `lost` is told when it is taken away. */
  static async open(lost: () => void): Promise<Microphone> {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("This browser gives no page a microphone.");
    }
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    } catch (error) {
      throw new Error(faultOf(error as DOMException));
    }
    const context = new AudioContext();
    try {
      await context.resume();
      return new Microphone(stream, context, lost);
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      context.close();
      throw new Error(`The microphone cannot be heard (${(error as Error).message}).`);
    }
  }

  get sampleRate(): number {
    return this.context.sampleRate;
  }

  /** Seconds from the air to the page, as far as the browser knows. */
  get latencyS(): number {
    const [track] = this.stream.getAudioTracks();
    const { latency } = track.getSettings() as MediaTrackSettings & { latency?: number };
    return latency ?? 0;
  }

  /** The peak of what comes in now, 0 to 1. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    return this.samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  }

  /** Begin to record; the function that it gives ends that, with a file of what was heard. */
  record(): () => Promise<File> {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const options = { mimeType, audioBitsPerSecond: BITS_PER_SECOND };
    const recorder = new MediaRecorder(this.stream, options);
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const ended = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    return async () => {
      // It ends by itself where the microphone is taken away.
      if (recorder.state !== "inactive") recorder.stop();
      await ended;
      const [type] = recorder.mimeType.split(";");
      return new File(parts, "recording", { type });
    };
  }

  /** Hand on blocks of so many samples to a port from now on. */
  async listen(blockSize: number, port: MessagePort): Promise<void> {
    await this.context.audioWorklet.addModule(listenerUrl);
    const processorOptions: ListenerOptions = { blockSize };
    const node = new AudioWorkletNode(this.context, "timbrel-listener", { processorOptions });
    node.port.postMessage(port, [port]);
    // It is silent; what leads nowhere might not be computed.
    this.source.connect(node).connect(this.context.destination);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

function faultOf({ name, message }: DOMException): string {
  if (name === "NotAllowedError") {
    return (
      "The microphone was not allowed. Allow it for this page, by the sign beside the address, " +
      "and press the button again."
    );
  }
  if (name === "NotFoundError") return "No microphone was found.";
  if (name === "NotReadableError") {
    return "The microphone cannot be opened; another program may be using it.";
  }
  return `The microphone cannot be opened (${message}).`;
}
