// Colours for terminals, and for nothing else.

import type { Env } from "../core/env.ts";

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Whether to colour: a person is looking, and has not said otherwise (https://no-color.org). */
export function wantsColour(terminal: { readonly isTTY: boolean }, env: Env): boolean {
  return terminal.isTTY && !env.NO_COLOR && env.TERM !== "dumb";
}

export function createPaint(isColoured: boolean): Paint {
  return (colour, text) => (isColoured ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}
