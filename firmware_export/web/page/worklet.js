// The audio thread: microphone in, loudspeaker out, and each hop of both sides to the page.
import { Firmware } from "./firmware.js";

const now = () => globalThis.performance?.now() ?? Date.now(); // some browsers have no finer clock in here

class Denoiser extends AudioWorkletProcessor {
  constructor({ processorOptions: { module } }) {
    super();
    this.firmware = new Firmware(new WebAssembly.Module(module), sampleRate);
    this.milliseconds = 0;
    this.port.onmessage = ({ data }) => {
      if ("limit" in data) this.firmware.limit = data.limit;
      if ("reset" in data) this.firmware.c.reset();
    };
  }

  process([input], [output]) {
    let begin = now();
    this.firmware.process(input[0], output[0], () => {
      const { noisy, clean } = this.firmware;
      const milliseconds = this.milliseconds + now() - begin;
      this.port.postMessage({ noisy: noisy.slice(), clean: clean.slice(), milliseconds });
      this.milliseconds = 0;
      begin = now();
    });
    this.milliseconds += now() - begin;
    return true;
  }
}

registerProcessor("tinyse", Denoiser);
