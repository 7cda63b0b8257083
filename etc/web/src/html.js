// html: Preact with htm: markup as templates, no compile step, and everything from units becomes text.
import { h } from "preact";
import htm from "htm";
export const html = htm.bind(h);
