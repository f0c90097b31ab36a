// The audio thread: microphone in, loudspeaker out, and each hop of both sides to the page.
import { Firmware } from "./firmware.js";

const now = () => globalThis.performance?.now() ?? Date.now(); // some browsers have no finer clock in here

class Denoiser extends AudioWorkletProcessor {
  constructor({ processorOptions: { module } }) {
    super();
    this.firmware = new Firmware(new WebAssembly.Module(module), sampleRate);
    this.silence = new Float32Array(128);
    this.milliseconds = 0;
    this.port.onmessage = ({ data }) => {
      if ("active" in data) this.firmware.active = data.active;
      if ("reset" in data) this.firmware.c.reset();
    };
  }

  process([input], [output]) {
    const begin = now();
    const hops = this.firmware.process(input[0] ?? this.silence, output[0]);
    this.milliseconds += now() - begin;
    if (hops) {
      const { noisy, clean } = this.firmware;
      this.port.postMessage({ noisy: noisy.slice(), clean: clean.slice(), milliseconds: this.milliseconds });
      this.milliseconds = 0;
    }
    return true;
  }
}

registerProcessor("tinyse", Denoiser);
