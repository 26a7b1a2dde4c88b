/** A JSON list of texts that are JSON already. */
export function pduList(texts: readonly string[]): string {
  return `[${texts.join(',')}]`;
}
