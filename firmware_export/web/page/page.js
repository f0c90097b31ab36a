// The page: microphone or file, before and after, A/B.
import { Firmware, denoise } from "./firmware.js";
import { Spectrogram, level, readWav, wav } from "./sound.js";

const $ = (id) => document.getElementById(id);
const spectrograms = { before: new Spectrogram($("before")), after: new Spectrogram($("after")) };
const wasm = await (await fetch("tinyse.wasm")).arrayBuffer();
const module = await WebAssembly.compile(wasm);
const model = await (await fetch("model.json")).json();
const RATE = model.sample_rate;
const COLUMN = Math.round(0.016 * RATE); // samples between two columns of a running spectrogram
const SHOWN = Math.ceil(128 / model.hop_ms); // hops between two updates of the figures
const LONGEST = 10 * 60 * RATE; // samples of the microphone that are kept for the download

let active = true; // B, denoised
let running = null; // the microphone: { context, node, stream, hops }
let playing = null; // a file: { context, gains }
let clip = null; // { noisy, clean } of the file or of the microphone

/** The most that is taken away in dB, by the purpose that is chosen. */
const strength = () => model.presets[$("preset").value];
const limit = () => (active ? strength() : 0);

function say(text, isError = false) {
  $("message").textContent = text;
  $("message").classList.toggle("error", isError);
}

function show(side, pcm) {
  const { rms, peak, clipped } = level(pcm);
  $(`level-${side}`).value = rms;
  $(`figure-${side}`).textContent = `${rms.toFixed(1)} dB, peak ${peak.toFixed(1)} dB${clipped ? ", clipping" : ""}`;
}

async function startMicrophone() {
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const context = new AudioContext(); // at the sound card's own rate: not every browser takes a microphone at another one
  const late = new Firmware(module, context.sampleRate).c.latency() / context.sampleRate;
  await context.audioWorklet.addModule("worklet.js");
  const options = { outputChannelCount: [1], processorOptions: { module: wasm } };
  const node = new AudioWorkletNode(context, "tinyse", options);
  node.onprocessorerror = () => say("the audio thread stopped: reload the page", true);
  stream.getTracks()[0].onended = () => { stopMicrophone(); say("the microphone was unplugged", true); };
  running = { context, node, stream, hops: [], milliseconds: 0 };
  node.port.onmessage = ({ data }) => showFrame(data);
  node.port.postMessage({ limit: limit() });
  context.createMediaStreamSource(stream).connect(node).connect(context.destination);
  await context.resume();
  const seconds = late - model.latency_ms / 1000 + context.baseLatency + (context.outputLatency || 0);
  $("latency-browser").textContent = `${(1000 * seconds).toFixed(0)} ms`;
  say(`Listening at ${context.sampleRate} Hz.`);
}

/** A hop of both sides from the audio thread. */
function showFrame({ noisy, clean, milliseconds }) {
  spectrograms.before.push(noisy, COLUMN);
  spectrograms.after.push(clean, COLUMN);
  const { hops } = running;
  hops.push({ noisy, clean });
  if (hops.length * noisy.length > LONGEST) hops.shift();
  running.milliseconds += Math.min(model.hop_ms / 800, 1) * (milliseconds - running.milliseconds); // a mean over 0.8 s
  if (hops.length % SHOWN) return;
  show("before", noisy);
  show("after", clean);
  if (hops.length * model.hop_ms > 1600) $("compute").textContent = `${running.milliseconds.toFixed(2)} ms of ${model.hop_ms} ms`;
}

function stopMicrophone() {
  const { context, node, stream, hops } = running;
  running = null;
  node.port.onmessage = null; // hops that are still on their way are nobody's
  stream.getTracks().forEach((track) => track.stop());
  context.close();
  const join = (side) => Int16Array.from(hops.flatMap((hop) => [...hop[side]]));
  const delay = hops.length ? new Firmware(module, RATE).delay : 0;
  const [noisy, clean] = [join("noisy"), join("clean").subarray(delay)];
  clip = { noisy: noisy.subarray(0, clean.length), clean };
  say(`${(clean.length / RATE).toFixed(1)} s recorded.`);
}

/** Any sound file as 16-bit samples at RATE. */
async function read(file) {
  const buffer = await file.arrayBuffer();
  const exact = readWav(buffer, RATE);
  if (exact) return exact;
  // Decoding resamples to the context's rate, and a context of one channel mixes down.
  const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(buffer);
  const offline = new OfflineAudioContext(1, decoded.length, RATE);
  const source = new AudioBufferSourceNode(offline, { buffer: decoded });
  source.connect(offline.destination);
  source.start();
  const samples = (await offline.startRendering()).getChannelData(0);
  return Int16Array.from(samples, (x) => Math.min(Math.max(Math.round(32768 * x), -32768), 32767));
}

async function openFile(file) {
  if (!file) return;
  say(`Reading ${file.name} ...`);
  const noisy = await read(file);
  clean(noisy);
  say(`${file.name}: ${(noisy.length / RATE).toFixed(1)} s.`);
}

/** A whole clip at the chosen strength, and both of its sides. */
function clean(noisy) {
  const { pcm, msPerFrame } = denoise(module, noisy, strength());
  clip = { noisy, clean: pcm };
  $("compute").textContent = `${msPerFrame.toFixed(2)} ms of ${model.hop_ms} ms`;
  spectrograms.before.show(noisy);
  spectrograms.after.show(pcm);
  show("before", noisy);
  show("after", pcm);
}

/** Both sides at once; the switch is what makes one of them heard. */
function play() {
  const context = new AudioContext({ sampleRate: RATE });
  const gains = ["noisy", "clean"].map((side) => {
    const buffer = context.createBuffer(1, clip[side].length, RATE);
    buffer.copyToChannel(Float32Array.from(clip[side], (x) => x / 32768), 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    const gain = new GainNode(context, { gain: 0 });
    source.connect(gain).connect(context.destination);
    source.start();
    source.onended = () => playing?.context === context && stopPlaying();
    return gain;
  });
  playing = { context, gains };
  applySwitch();
}

function stopPlaying() {
  playing?.context.close();
  playing = null;
  refresh();
}

function applySwitch() {
  $("switch").textContent = active ? "B: denoised" : "A: untouched";
  $("switch").setAttribute("aria-pressed", active);
  running?.node.port.postMessage({ limit: limit() });
  playing?.gains.forEach((gain, side) => (gain.gain.value = side === Number(active) ? 1 : 0));
}

function refresh() {
  $("microphone").textContent = running ? "Stop" : "Microphone";
  $("microphone").setAttribute("aria-pressed", Boolean(running));
  $("play").textContent = playing ? "Stop" : "Play";
  $("play").disabled = !clip || Boolean(running);
  $("download").disabled = !clip || Boolean(running);
}

/** An action of the user: its error is said on the page. */
const action = (act) => async (event) => {
  try {
    await act(event);
  } catch (error) {
    const hints = { NotFoundError: "no microphone was found", NotAllowedError: "the microphone was not allowed",
      EncodingError: "this browser cannot read that file: use wav, mp3, ogg or flac" };
    say(hints[error.name] ?? error.message, true);
  }
  refresh();
};

$("microphone").onclick = action(async () => {
  stopPlaying();
  if (running) return stopMicrophone();
  Object.values(spectrograms).forEach((spectrogram) => spectrogram.clear());
  await startMicrophone();
});
$("file").onchange = action(() => openFile($("file").files[0]));
$("play").onclick = action(() => (playing ? stopPlaying() : play()));
$("switch").onclick = () => { active = !active; applySwitch(); };
$("preset").onchange = action(() => {
  stopPlaying();
  if (clip && !running) clean(clip.noisy);
  applySwitch();
});
$("download").onclick = () => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(wav(clip.clean, RATE)), download: "denoised.wav" });
  link.click();
  URL.revokeObjectURL(link.href);
};
document.onkeydown = (event) => {
  if (event.key === " " && event.target === document.body) { event.preventDefault(); $("switch").click(); }
};
document.ondragover = (event) => { event.preventDefault(); document.body.classList.add("dropping"); };
document.ondragleave = () => document.body.classList.remove("dropping");
document.ondrop = action(async (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (running) stopMicrophone();
  stopPlaying();
  await openFile(event.dataTransfer.files[0]);
});

$("preset").append(...Object.keys(model.presets).map((preset) => new Option(preset)));
$("model-name").textContent = model.name;
$("model-hash").textContent = model.sha256;
$("model-card").innerHTML = model.card;
$("size").textContent = `${(wasm.byteLength / 1000).toFixed(0)} kB`;
$("latency-algorithm").textContent = `${model.latency_ms} ms`;
refresh();
await navigator.serviceWorker?.register("offline.js").catch(() => {}); // without it, the page needs its server
// What a test may ask for.
globalThis.tinyse = { get clip() { return clip; }, get running() { return running; } };
