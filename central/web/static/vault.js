// What the wallet keeps on this device: its token, its cards, and keys that can be used but not read out.
const NAME = "kanhe-wallet";
const STORE = "kept";

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function within(mode, work) {
  const database = await opened();
  return new Promise((done, failed) => {
    const transaction = database.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => {
      database.close();
      done(request.result);
    };
    transaction.onerror = transaction.onabort = () => {
      database.close();
      failed(transaction.error);
    };
  });
}

export const load = (name) => within("readonly", (store) => store.get(name));
export const keep = (name, value) => within("readwrite", (store) => store.put(value, name));
export const forgetAll = () => within("readwrite", (store) => store.clear());
