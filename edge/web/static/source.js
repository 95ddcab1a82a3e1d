// Where frames come from: a camera, a window of this computer, or a picture.
//
// - Of several tabs the one that opened its source last has it; the others let go, so that one showing isn't
//   seen by two.
import { t } from "./words.js";

const SIDE_MAX = 1280;
const QUALITY = 0.85;
const LOCK = "kanhe-source";

export class Source {
  /** lost: told in words when a camera or window goes away by itself. */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    this.stream = null;
    this.canvas = document.createElement("canvas");
  }

  get live() {
    return this.stream !== null;
  }

  async openCamera(deviceId) {
    const media = this.media();
    const video = { width: { ideal: SIDE_MAX }, height: { ideal: 720 } };
    if (deviceId) video.deviceId = { exact: deviceId };
    else video.facingMode = { ideal: "user" };
    await this.take(() => media.getUserMedia({ video, audio: false }));
  }

  async openWindow() {
    const media = this.media();
    await this.take(() => media.getDisplayMedia({ video: { frameRate: 15 }, audio: false }));
  }

  media() {
    if (navigator.mediaDevices) return navigator.mediaDevices;
    throw new Error(t("浏览器只在安全连接下开放摄像头：请用 https 打开，或先安装证书（/authority）",
      "A browser opens the camera on a secure connection only: use https, or install the certificate (/authority)"));
  }

  async take(open) {
    this.close();
    try {
      this.stream = await open();
    } catch (error) {
      throw new Error(why(error));
    }
    for (const track of this.stream.getTracks()) track.addEventListener("ended", () => this.lose(
      t("摄像头断开了：请重新打开", "The camera is gone: turn it on again")));
    this.hold();
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** Take the source over from whichever tab has it, until this one is closed or taken over. */
  hold() {
    const stream = this.stream;
    const released = new Promise((release) => { this.release = release; });
    navigator.locks.request(LOCK, { steal: true }, () => released).catch(() => {
      if (this.stream === stream) this.lose(t("摄像头已在另一个标签页打开", "Another tab has the camera now"));
    });
  }

  lose(words) {
    if (!this.live) return;
    this.close();
    this.lost(words);
  }

  async cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput");
  }

  close() {
    const stream = this.stream;
    this.stream = null;
    this.release?.();
    this.video.srcObject = null;
    for (const track of stream?.getTracks() ?? []) track.stop();
  }

  /** One frame as JPEG, null when there is none yet. */
  async frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.live || !width) return null;
    const scale = Math.min(1, SIDE_MAX / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
  }
}

function why(error) {
  switch (error.name) {
    case "NotAllowedError":
      return t("未获准使用摄像头：请在浏览器地址栏旁允许", "The camera was refused: allow it beside the address bar");
    case "NotFoundError": case "OverconstrainedError":
      return t("没有找到摄像头：可用扫码枪、图片或窗口画面", "No camera was found: use a scanner, a picture or a window");
    case "NotReadableError":
      return t("摄像头被别的程序占用", "Another program uses the camera");
    default:
      return t("摄像头打不开：", "The camera can't be opened: ") + error.name;
  }
}
