// Identity over HTTP: signing in, organisations and API keys. A route here reads its input and says who asks; what is
// allowed is decided where it is done.

import type { Auth } from "../auth/create-auth.ts";
import type { Route } from "../plugin/route.ts";
import { apiKeyRoutes } from "./auth-key-routes.ts";
import { inviteRoutes } from "./auth-invite-routes.ts";
import { organisationRoutes } from "./auth-org-routes.ts";
import { sessionRoutes } from "./auth-session-routes.ts";

export function authRoutes(auth: Auth): Route[] {
  return [...sessionRoutes(auth), ...organisationRoutes(auth), ...inviteRoutes(auth), ...apiKeyRoutes(auth)];
}
