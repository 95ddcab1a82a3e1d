// Checks a receipt file in the browser, with nothing but WebCrypto (SHA-256, Ed25519).
//
// - RFC 6962 leaf and node hashes; the audit path is followed as in RFC 9162, section 2.1.3.2.
// - Nothing is sent anywhere: the file is read, checked and forgotten.
// - The same text stands in docs/verifier/receipt.html, which needs no platform at all.
"use strict";
(() => {
  const NODE = "kanhe/journal/checkpoint/1\0";
  const WITNESS = "kanhe/journal/witness/1\0";
  const PROOF_MAX = 64;
  const FILE_BYTES_MAX = 65_536;
  const chinese = document.documentElement.lang.startsWith("zh");
  const t = (zh, en) => (chinese ? zh : en);
  const text = new TextEncoder();

  const fromHex = (hex, bytes) => {
    if (typeof hex !== "string" || !/^(?:[0-9a-f]{2})*$/.test(hex) || (bytes && hex.length !== 2 * bytes)) {
      throw new Error(t("不是十六进制", "not hex of the right length"));
    }
    return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  };
  const toHex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const joined = (...parts) => {
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (out.set(part, at), at + part.length), 0);
    return out;
  };
  const u64 = (value) => {
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, BigInt(value));
    return out;
  };
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

  async function rootOf(index, size, leaf, path) {
    let place = BigInt(index), last = BigInt(size) - 1n, node = leaf;
    if (place < 0n || place > last) return null;
    for (const item of path) {
      if (last === 0n) return null;
      if (place & 1n || place === last) {
        node = await sha256(Uint8Array.of(1), item, node);
        while (!(place & 1n) && place) { place >>= 1n; last >>= 1n; }
      } else {
        node = await sha256(Uint8Array.of(1), node, item);
      }
      place >>= 1n; last >>= 1n;
    }
    return last === 0n ? toHex(node) : null;
  }

  async function signed(said, context) {
    const covered = joined(
      text.encode(context), text.encode(said.log), u64(said.size), fromHex(said.root, 32), u64(said.at_ms));
    const key = await crypto.subtle.importKey("raw", fromHex(said.public, 32), "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, fromHex(said.signature, 64), covered);
  }

  // Gives [what was checked, whether it holds] one by one; a check that breaks doesn't hold.
  async function checkReceipt(receipt, expected = {}) {
    const checks = [];
    const check = async (what, holds) => {
      let found = false;
      try { found = (await holds()) === true; } catch { found = false; }
      checks.push([what, found]);
    };
    const head = receipt.checkpoint ?? {}, said = receipt.countersignature ?? null;
    await check(t("文件格式", "the file is a receipt"), () => receipt.format === "kanhe-receipt/1");
    if (receipt.record != null) {
      await check(t("记录与哈希相符", "the record is the one that the leaf is the hash of"), async () => {
        const record = Uint8Array.from(atob(receipt.record), (c) => c.charCodeAt(0));
        return toHex(await sha256(Uint8Array.of(0), record)) === receipt.leaf;
      });
    }
    await check(t("记录在日志树中", "the proof leads from the record to the checkpoint's root"), async () => {
      const path = receipt.proof.map((item) => fromHex(item, 32));
      return path.length <= PROOF_MAX
        && (await rootOf(receipt.index, head.size, fromHex(receipt.leaf, 32), path)) === head.root;
    });
    await check(t("检查点属于该日志", "the checkpoint is of this log, which its key names"), async () =>
      receipt.log === head.log && toHex(await sha256(fromHex(head.public, 32))).slice(0, 32) === head.log);
    await check(t("节点签名有效", "the node signed the checkpoint"), () => signed(head, NODE));
    if (expected.key) {
      await check(t("是所指定节点的密钥", "the node's key is the one given"), () => head.public === expected.key);
    }
    if (said || expected.witness) {
      await check(t("中心平台会签有效", "the central platform counter-signed this checkpoint"), async () =>
        said.log === head.log && said.size === head.size && said.root === head.root && signed(said, WITNESS));
    }
    if (expected.witness) {
      await check(t("是所指定平台的密钥", "the platform's key is the one given"), () => said.public === expected.witness);
    }
    return checks;
  }
  globalThis.checkReceipt = checkReceipt;

  const form = document.getElementById("receipt-form");
  if (!form) return;
  const element = (id) => document.getElementById(id);
  const say = (verdict, words) => {
    element("receipt-said").textContent = words;
    element("receipt-said").dataset.holds = verdict;
  };

  async function run() {
    const list = element("receipt-checks");
    list.replaceChildren();
    const [file] = element("receipt-file").files;
    const source = file ? await file.slice(0, FILE_BYTES_MAX + 1).text() : element("receipt-text").value;
    let receipt;
    try {
      if (source.length > FILE_BYTES_MAX) throw new Error();
      receipt = JSON.parse(source);
      if (receipt === null || typeof receipt !== "object") throw new Error();
    } catch {
      say("no", t("这不是回执文件", "This isn't a receipt file"));
      return;
    }
    if (!globalThis.isSecureContext || !crypto.subtle) {
      say("no", t("此浏览器或地址不能核对签名：请用 https 或本地文件打开", "Signatures can't be checked here: open this page by https or from a file"));
      return;
    }
    const given = (id) => element(id).value.trim().toLowerCase();
    const checks = await checkReceipt(receipt, { key: given("receipt-key"), witness: given("receipt-witness") });
    for (const [what, holds] of checks) {
      const item = document.createElement("li");
      item.textContent = `${holds ? "✓" : "✗"} ${what}`;
      item.dataset.holds = holds ? "yes" : "no";
      list.append(item);
    }
    if (!checks.every(([, holds]) => holds)) {
      say("no", t("回执不成立", "The receipt doesn't hold"));
    } else if (!receipt.countersignature) {
      say("partly", t("成立，但中心平台尚未会签", "It holds, but the central platform hasn't counter-signed it"));
    } else {
      say("yes", t("回执成立：节点签名、平台会签", "The receipt holds: signed by the node, counter-signed by the platform"));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
})();
