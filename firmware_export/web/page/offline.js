// A service worker: the page as it was last loaded, for when there is no network.
const FILES = ["./", "style.css", "page.js", "sound.js", "firmware.js", "worklet.js", "tinyse.wasm", "model.json"];

self.oninstall = (event) => {
  event.waitUntil(caches.open("tinyse").then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
};

self.onactivate = (event) => event.waitUntil(self.clients.claim());

self.onfetch = (event) => {
  const fresh = async () => {
    const answer = await fetch(event.request);
    if (answer.ok && event.request.method === "GET") {
      await (await caches.open("tinyse")).put(event.request, answer.clone());
    }
    return answer;
  };
  event.respondWith(fresh().catch(() => caches.match(event.request, { ignoreSearch: true })));
};
