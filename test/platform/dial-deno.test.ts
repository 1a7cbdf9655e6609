import { createDenoDialer } from "../../src/platform/dial-deno.ts";
import { describeDialer } from "../net/dialer-contract.ts";
import { describeDialerEnvironment } from "./dialer-environment.ts";

// Runs on Bun as well: the Bun dialer sends a crowd's calls the same way.
describeDialer("createDenoDialer()", createDenoDialer);
describeDialerEnvironment("createDenoDialer()", "deno");
