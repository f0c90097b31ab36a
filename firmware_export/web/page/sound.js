// Sound to pictures, figures and files.

const POINTS = 512;
const FLOOR_DB = -100;
const RANGE_DB = 90;

/** Level of 16-bit samples in dB of full scale, and the highest one. */
export function level(pcm) {
  let power = 0;
  let peak = 0;
  for (const value of pcm) {
    power += value * value;
    peak = Math.max(peak, Math.abs(value));
  }
  const decibels = (x) => (x > 0 ? Math.max(20 * Math.log10(x / 32768), FLOOR_DB) : FLOOR_DB);
  return { rms: decibels(Math.sqrt(power / Math.max(pcm.length, 1))), peak: decibels(peak), clipped: peak >= 32766 };
}

/** A 16-bit mono wav file at `rate`. */
export function wav(pcm, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (offset, letters) => [...letters].forEach((c, i) => header.setUint8(offset + i, c.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * pcm.length, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true);
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, 2 * pcm.length, true);
  return new Blob([header, pcm], { type: "audio/wav" });
}

/** The samples of a 16-bit mono wav at `wanted` Hz as they are, or null for any other file: browsers scale while they decode. */
export function readWav(buffer, wanted) {
  const view = new DataView(buffer);
  const name = (offset) => String.fromCharCode(...new Uint8Array(buffer, offset, 4));
  if (buffer.byteLength < 44 || name(0) !== "RIFF" || name(8) !== "WAVE") return null;
  let fits = false;
  for (let offset = 12; offset + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(offset + 4, true);
    const body = offset + 8;
    if (name(offset) === "fmt ") {
      const [format, channels] = [view.getUint16(body, true), view.getUint16(body + 2, true)];
      const [rate, bits] = [view.getUint32(body + 4, true), view.getUint16(body + 14, true)];
      fits = format === 1 && channels === 1 && rate === wanted && bits === 16;
    } else if (name(offset) === "data") {
      return fits ? new Int16Array(buffer.slice(body, body + 2 * Math.floor(Math.min(size, buffer.byteLength - body) / 2))) : null;
    }
    offset = body + size + (size % 2);
  }
  return null;
}

const hann = Float32Array.from({ length: POINTS }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / POINTS));

/** Magnitudes in dB of the bins 0 to POINTS / 2 of POINTS samples. */
function spectrum(pcm, first) {
  const re = new Float32Array(POINTS);
  const im = new Float32Array(POINTS);
  for (let i = 0, j = 0; i < POINTS; i++) {
    re[j] = ((pcm[first + i] ?? 0) / 32768) * hann[i];
    for (let bit = POINTS >> 1; (j ^= bit) < bit && bit > 1; bit >>= 1); // the next number with its bits reversed
  }
  for (let size = 2; size <= POINTS; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const cosine = Math.cos((-2 * Math.PI * k) / size);
      const sine = Math.sin((-2 * Math.PI * k) / size);
      for (let a = k, b = k + size / 2; a < POINTS; a += size, b += size) {
        const x = re[b] * cosine - im[b] * sine;
        const y = re[b] * sine + im[b] * cosine;
        [re[b], im[b], re[a], im[a]] = [re[a] - x, im[a] - y, re[a] + x, im[a] + y];
      }
    }
  }
  return Float32Array.from({ length: POINTS / 2 }, (_, k) => 10 * Math.log10(re[k] ** 2 + im[k] ** 2 + 1e-12) - 42);
}

/** Black, violet, orange, yellow, in 256 steps. */
const colors = Array.from({ length: 256 }, (_, i) => {
  const x = i / 255;
  const channel = (low, high) => Math.round(255 * Math.min(Math.max((x - low) / (high - low), 0), 1));
  return [channel(0.05, 0.65), channel(0.45, 1), x < 0.5 ? channel(0, 0.8) : Math.round(channel(1.4, 0.2) * 0.55)];
});

/** A spectrogram on a canvas, 0 Hz at the bottom; new columns come from the right. */
export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    canvas.height = POINTS / 2;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
  }

  clear() {
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.recent = new Int16Array(POINTS);
    this.fresh = 0; // samples since the last column
  }

  /** Append a hop of a running stream; a column is drawn every `step` samples, whatever the hop. */
  push(pcm, step) {
    const joined = new Int16Array(POINTS + pcm.length);
    joined.set(this.recent);
    joined.set(pcm, POINTS);
    this.recent = joined.slice(pcm.length);
    for (this.fresh += pcm.length; this.fresh >= step; this.fresh -= step) {
      const first = pcm.length - this.fresh + step;
      this.context.drawImage(this.canvas, -2, 0);
      this.column(this.canvas.width - 2, joined, first);
      this.column(this.canvas.width - 1, joined, first);
    }
  }

  /** Show a whole clip. */
  show(pcm) {
    for (let x = 0; x < this.canvas.width; x++) {
      this.column(x, pcm, Math.round((x / this.canvas.width) * Math.max(pcm.length - POINTS, 0)));
    }
  }

  column(x, pcm, first) {
    const picture = this.context.createImageData(1, POINTS / 2);
    spectrum(pcm, first).forEach((decibels, bin) => {
      const shade = Math.round(255 * Math.min(Math.max((decibels - FLOOR_DB) / RANGE_DB, 0), 1));
      picture.data.set([...colors[shade], 255], 4 * (POINTS / 2 - 1 - bin));
    });
    this.context.putImageData(picture, x, 0);
  }
}
