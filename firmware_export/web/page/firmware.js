// The firmware's WebAssembly with the names of its C; the same class in the page, in the AudioWorklet and in Node.

export class Firmware {
  /** `module`: a WebAssembly.Module. `rate`: samples per second that `process` gets, 8 to 192 thousand; by
   * default the firmware's own. */
  constructor(module, rate) {
    this.c = new WebAssembly.Instance(module, {}).exports;
    const own = this.c.rate();
    if (this.c.init(rate ?? own) !== 0) throw new Error(`sound at ${rate} Hz is not supported: use 44.1 or 48 kHz`);
    const { memory } = this.c;
    this.hop = this.c.hop();
    this.piece = Math.max(Math.floor((this.hop * (rate ?? own)) / own), 1); // so few that none completes two hops
    this.delay = this.c.delay();
    this.samples = new Float32Array(memory.buffer, this.c.samples(), this.c.capacity());
    this.noisy = new Int16Array(memory.buffer, this.c.noisy(), this.hop);
    this.clean = new Int16Array(memory.buffer, this.c.clean(), this.hop);
    this.mask = new Int8Array(memory.buffer, this.c.mask(), this.c.bands());
  }

  /** Any number of samples in [-1, 1) to as many in `output`, `latency` late; without an input it is silence. `processed` is
   * called after each hop that was completed, whose 16-bit sound is then in `noisy` and `clean`. Returns their number. */
  process(input, output, processed = () => {}) {
    let hops = 0;
    for (let first = 0; first < output.length; first += this.piece) {
      const piece = this.samples.subarray(0, Math.min(this.piece, output.length - first));
      piece.fill(0);
      if (input) piece.set(input.subarray(first, first + piece.length));
      if (this.c.process(piece.length)) {
        hops++;
        processed();
      }
      output.set(piece, first);
    }
    return hops;
  }

  /** The most that is taken away in whole dB, -1 for no limit. At 0 the sound is untouched and as late, so one can
   * switch while listening. */
  set limit(decibels) {
    this.c.set_limit(decibels);
  }
}

/** 16-bit sound at the firmware's rate as a whole: aligned with its input, and as long. Raises nothing. */
export function denoise(module, pcm, limit = -1) {
  const firmware = new Firmware(module);
  firmware.limit = limit;
  const { hop, delay } = firmware;
  const hops = Math.ceil((pcm.length + delay) / hop);
  const stream = new Int16Array(hops * hop);
  const block = new Float32Array(hop);
  const begin = performance.now();
  for (let first = 0; first < stream.length; first += hop) {
    block.fill(0);
    pcm.subarray(first, first + hop).forEach((value, index) => (block[index] = value / 32768));
    firmware.process(block, block);
    stream.set(firmware.clean, first);
  }
  return { pcm: stream.slice(delay, delay + pcm.length), msPerFrame: (performance.now() - begin) / hops };
}
