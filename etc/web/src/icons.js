// icons: small drawings in the colour of the text beside them.
import { html } from "./html.js";

const paths = {
  map: "M9 4 3 6.5v13L9 17l6 3 6-2.5v-13L15 7 9 4zM9 4v13M15 7v13",
  units: "M4 6h16M4 12h16M4 18h16",
  alarms: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4l2-2zM10 21h4",
  bridges: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  strangers: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 16.8h.01",
  add: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  find: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  target: "M12 19a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM12 2v5M12 17v5M2 12h5M17 12h5",
  follow: "M4 20 12 4l8 16-8-4z",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${paths[name]} /></svg>`;
