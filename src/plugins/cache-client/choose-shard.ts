// Which of several servers has a key: the one whose name and the key hash highest together (rendezvous hashing), so that
// adding a server moves only the keys that it gets.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over UTF-16 units, mixed so that similar texts part. Spreads keys; keeps no secret. */
function hashText(text: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The index of the server. `names` tell servers apart in every process alike. */
export function chooseShard(names: readonly string[], key: string): number {
  let [chosen, highest] = [0, -1];
  if (names.length > 1) {
    for (const [index, name] of names.entries()) {
      const weight = hashText(`${name}\n${key}`);
      if (weight > highest) [chosen, highest] = [index, weight];
    }
  }
  return chosen;
}
