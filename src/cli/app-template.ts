// The files of a new application.

import app from "./templates/app.ts.txt" with { type: "text" };
import env from "./templates/env.txt" with { type: "text" };
import gitignore from "./templates/gitignore.txt" with { type: "text" };
import ordersOf from "./templates/orders-of.ts.txt" with { type: "text" };
import placeOrder from "./templates/place-order.ts.txt" with { type: "text" };
import types from "./templates/pylon-env.d.ts.txt" with { type: "text" };
import tsconfig from "./templates/tsconfig.json.txt" with { type: "text" };

export interface TemplateFile {
  /** Relative to the application's folder, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Only its owner may read it. */
  readonly isSecret: boolean;
}

/** Fills the template. Answers the files in the order in which they are named to people. */
export function createAppFiles(values: { readonly name: string; readonly adminToken: string }): TemplateFile[] {
  const file = (path: string, text: string, isSecret = false): TemplateFile => ({ path, text, isSecret });
  return [
    file(
      "app.ts",
      app.replace("__NAME__", () => JSON.stringify(values.name)),
    ),
    file("functions/placeOrder.ts", placeOrder),
    file("functions/ordersOf.ts", ordersOf),
    file("pylon-env.d.ts", types),
    file("tsconfig.json", tsconfig),
    file(
      ".env",
      env.replace("__ADMIN_TOKEN__", () => values.adminToken),
      true,
    ),
    file(".gitignore", gitignore),
  ];
}
