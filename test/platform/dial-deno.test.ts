// Deno's dialer against the dialer contract and a hostile environment. Runs on Bun too, whose crowds take the same path.
import { createDenoDialer } from "../../src/platform/dial-deno.ts";
import { describeDialer } from "../net/dialer-contract.ts";
import { describeDialerEnvironment } from "./dialer-environment.ts";

describeDialer("createDenoDialer()", createDenoDialer);
describeDialerEnvironment("createDenoDialer()", "deno");
