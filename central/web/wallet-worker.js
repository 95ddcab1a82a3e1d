// Keeps the wallet's files so that it opens without a network. Answers of /v1 are never kept.
const NAME = `kanhe-wallet-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME)
    .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
    .then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names
      .filter((name) => name.startsWith("kanhe-wallet-") && name !== NAME)
      .map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname === "/wallet/") event.respondWith(shell(event.request));
  else if (FILES.includes(url.pathname))
    event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((kept) => kept ?? fetch(event.request)));
});

/** The newest shell while the network answers soon, the kept one otherwise. */
async function shell(request) {
  const kept = await caches.match("/wallet/");
  try {
    const fresh = await fetch(request, { signal: AbortSignal.timeout(kept ? 2500 : 20000) });
    if (fresh.ok) return fresh;
  } catch {
    // the kept one, below
  }
  return kept ?? Response.error();
}
