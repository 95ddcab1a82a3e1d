"""A holder before the page's camera who does what the console asks, or the opposite.

The camera is a canvas: pictures of one face, turned and raised as `tests.models.bursts.moved` does
it, are drawn as soon as the page names a movement.
"""

import base64
import json

import simplejpeg

from edge.models.view import FrameView
from kanhe.demo.frames import face_frame
from kanhe.demo.people import load_portrait
from tests.models.bursts import jpeg, moved

MOVEMENTS = {
    "turn_left": [{"yaw_deg": yaw} for yaw in (10, 20, 20)],
    "turn_right": [{"yaw_deg": yaw} for yaw in (-12, -24, -24)],
    "look_up": [{"pitch_deg": pitch} for pitch in (9, 18, 18)],
    "come_nearer": [{"nearer": nearer} for nearer in (1.15, 1.4, 1.4)],
}
"""How far the head is along each movement; the last is held until another is asked for."""
CAMERA = """(() => {
  const poses = %s, opposite = {turn_left: "turn_right", turn_right: "turn_left"};
  window.holder = "follows";
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1280, 720];
  const paper = canvas.getContext("2d"), pictures = {};
  for (const [name, list] of Object.entries(poses)) list.forEach(async (text, index) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    (pictures[name] ??= [])[index] = await createImageBitmap(new Blob([bytes]));
  });
  let name = "", since = 0;
  setInterval(() => {
    const panel = document.querySelector("#challenge"), now = performance.now();
    const asked = panel && !panel.hidden ? panel.dataset.action : "";
    if (asked !== name) [name, since] = [asked, now];
    const does = window.holder === "mirrors" ? opposite[name] : name;
    const list = pictures[does] ?? pictures.rest ?? [];
    const picture = list[Math.min(list.length - 1, Math.floor((now - since) / 450))];
    // Nobody holds perfectly still.
    const x = 8 * Math.sin(now / 300) - 10, y = 5 * Math.sin(now / 170) - 6;
    if (picture) paper.drawImage(picture, x, y, 1300, 732);
  }, 40);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
})();"""


def camera(person, engine) -> str:
    """Give the script that puts a person before the page's camera."""
    still = simplejpeg.decode_jpeg(face_frame(load_portrait(person), seed=3))
    (view,) = engine.views([jpeg(still)], None)
    assert isinstance(view, FrameView)
    poses = {name: [moved(still, view.points, **how) for how in steps]
             for name, steps in {"rest": [{}], **MOVEMENTS}.items()}
    return CAMERA % json.dumps({
        name: [base64.b64encode(jpeg(picture)).decode() for picture in pictures]
        for name, pictures in poses.items()})
