// Who of several engines owns a lane: the one with the highest score for it (rendezvous hashing, Thaler & Ravishankar 1998).
// Whoever knows the same members comes to the same answer, and of any two members that both know, at most one thinks that it
// is the owner. One that comes or goes moves only the lanes that it gains or had. Pure.

import { createPrefixHash } from "../../crypto/murmur3.ts";

/** The member that owns the lane; undefined when there is none. */
export type LaneOwner = (lane: string) => number | undefined;

/** @param members their numbers, whole and 32 bits at most; in any order */
export function createLaneOwner(members: readonly number[]): LaneOwner {
  const [first] = members;
  if (members.length < 2) return () => first;
  // In one order everywhere, so that a draw is decided alike.
  const scorers = members.toSorted((a, b) => a - b).map((member) => ({ member, score: createPrefixHash("", member) }));
  return (lane) => {
    let owner: number | undefined;
    let highest = -1;
    for (const { member, score } of scorers) {
      const points = score.hash(lane);
      if (points <= highest) continue;
      highest = points;
      owner = member;
    }
    return owner;
  };
}
