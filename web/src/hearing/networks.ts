// The networks that hear, in ONNX Runtime.

import { openSession, ort, run } from "../engine/runtime";
import type { TranscriberNetwork } from "../transcription/stream";
import type { EncoderNetwork } from "./encoder";

type Files = Record<string, Uint8Array>;
type States = Record<string, ort.Tensor>;

export async function openEncoder(files: Files): Promise<EncoderNetwork> {
  const session = await openSession(files, "encoder.onnx");
  return async (mel, shape) => {
    const { mean, factor, logits } = await run(session, { mel: new ort.Tensor(mel, shape) });
    return {
      mean: mean.data as Float32Array,
      factor: factor.data as Float32Array,
      logits: logits.data as Float32Array,
    };
  };
}

export async function openTranscriber(files: Files): Promise<TranscriberNetwork<States>> {
  const session = await openSession(files, "transcriber.onnx");
  return {
    /** Each input `state_x` goes on as the output `next_x`. */
    start() {
      const states: States = {};
      for (const input of session.inputMetadata) {
        if (input.name === "spectra" || !input.isTensor) continue;
        const shape = input.shape as number[];
        const size = shape.reduce((a, b) => a * b, 1);
        states[input.name] = new ort.Tensor(new Float32Array(size), shape);
      }
      return states;
    },
    async run(spectra, shape, states) {
      const outputs = await run(session, { spectra: new ort.Tensor(spectra, shape), ...states });
      const next = Object.keys(states).map((name) => [
        name,
        outputs[name.replace("state", "next")],
      ]);
      return {
        values: outputs.values.data as Float32Array,
        state: Object.fromEntries(next) as States,
      };
    },
  };
}
